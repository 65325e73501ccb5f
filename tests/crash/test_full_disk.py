"""A disk that is full, or a file that may not grow: said in one line with what is needed; nothing is lost."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from disturbed_extraction import Extraction, sha256

from vidrep.features.parts_folder import MARKER

WIDTH = 4096  # 8 kB a frame: parts of 130 kB, 580 kB in all


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
@pytest.mark.parametrize(("file_size", "name"), [(60, ".f.h5.lock"), (50_000, "part-000001.h5"), (300_000, "f.h5")])
def test_a_limit_of_file_sizes(extraction: Extraction, file_size: int, name: str) -> None:
    earlier = extraction.make_earlier(width=WIDTH)
    ended = extraction.run(width=WIDTH, file_size=file_size)
    assert (ended.code, ended.errors.count("\n")) == (5, 1), ended.errors
    assert f"{name}: cannot be written (File too large; " in ended.errors
    assert "raise that limit" in ended.errors and "(ulimit -f)" in ended.errors
    assert ("needs " in ended.errors) == (name != ".f.h5.lock")
    assert sha256(extraction.output) == earlier
    assert set(extraction.names()) <= {"f.h5", "f.h5.parts"}
    parts = extraction.output.with_name("f.h5.parts")
    names = {path.name for path in parts.iterdir()} if parts.exists() else set()
    assert all(name.startswith("part-") for name in names - {MARKER})
    after_an_interruption = extraction.run(width=WIDTH)
    assert after_an_interruption.code == 0, after_an_interruption.errors
    found = sha256(extraction.output)
    extraction.clear()
    extraction.finish(found, width=WIDTH)


# A small disk of its own for these commands only: what happens on it is printed, for it ends with them.
ON_A_SMALL_DISK = """
set -u
mount -t tmpfs -o size={size} tmpfs {folder}
cp {earlier} {output}
{command} >{log} 2>&1; echo "code $?"
sed 's/^/said /' {log}
ls -A {folder} | sed 's/^/there /'
echo "sha256 $(sha256sum <{output})"
mount -o remount,size=16m {folder}
{command} >{log} 2>&1; echo "code $?"
ls -A {folder} | sed 's/^/there /'
echo "sha256 $(sha256sum <{output})"
"""


@pytest.mark.parametrize(("size", "name"), [("480k", "part-00000[12].h5"), ("1000k", "f.h5")])
def test_a_small_disk(extraction: Extraction, tmp_path: Path, size: str, name: str) -> None:
    if (
        not shutil.which("unshare")
        or subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True
        ).returncode
    ):
        pytest.skip("this system lets nobody mount a small disk (unshare -rm)")
    earlier = extraction.make_earlier(width=WIDTH)
    kept = tmp_path / "earlier.h5"
    shutil.copyfile(extraction.output, kept)
    assert extraction.run(width=WIDTH).code == 0
    final = sha256(extraction.output)
    script = ON_A_SMALL_DISK.format(
        size=size,
        folder=shlex.quote(str(extraction.output.parent)),
        earlier=shlex.quote(str(kept)),
        output=shlex.quote(str(extraction.output)),
        command=shlex.join(extraction.command(width=WIDTH)),
        log=shlex.quote(str(tmp_path / "log")),
    )
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if line.startswith("said ")]
    others = [line for line in done.stdout.splitlines() if not line.startswith("said ")]
    assert others == [
        "code 5",
        "there f.h5",
        "there f.h5.parts",
        f"sha256 {earlier}  -",
        "code 0",
        "there f.h5",
        f"sha256 {final}  -",
    ]
    assert len([line for line in said if "cannot be written" in line]) == 1
    assert re.search(
        rf"{name}: cannot be written \(No space left on device; needs \d+\.\d kB and the disk has \d+\.\d kB left\); "
        "free some space or choose another place; what was there is as it was",
        "\n".join(said),
    )
