"""Situations outside the lab: what vidrep makes of each, by its command line, and what a former commit made of it.

    python benchmarks/odd_situations.py [BEFORE]      prints the table; BEFORE is a commit, 40e8fdf by default

Inputs are generated. benchmarks/odd_videos.py writes the table into docs/results/odd-videos.md.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from compare_commits import code_of
from recording import ROOT

sys.path.insert(0, str(ROOT / "tests"))
import odd_files

from vidrep.features.store import open_features
from vidrep.video.writing import write_h264

BEFORE = "40e8fdf"
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
JAPANESE = "\u65e5\u672c"
_CLOSED = """import os

scandir = os.scandir


def scan(folder="."):
    if str(folder).endswith("lost+found"):
        raise PermissionError(13, "Permission denied", str(folder))
    return scandir(folder)


os.scandir = scan
"""
_LONGEST = 150  # characters of a message in the table


@dataclass(frozen=True)
class Done:
    """A command that has ended; lines: of both outputs, without progress."""

    code: int
    lines: list[str]

    @property
    def last(self) -> str:
        """Return the exit code and the last line: that of an error, if there was one."""
        return f"exit {self.code}: {_short(self.lines[-1])}" if self.lines else f"exit {self.code}"

    def line(self, word: str) -> str:
        """Return the first line with a word in it."""
        return next((_short(line) for line in self.lines if word in line), "no line")


def _short(text: str) -> str:
    text = text.replace("|", "/").replace("`", "'")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


class Vidrep:
    """The command line of one commit, run in the current folder."""

    def __init__(self, code: Path, links: Path) -> None:
        self.links = links
        for name, folder in (("vidrep", "vidrep"), ("vidrep_cli", "cli")):
            (links / name).symlink_to(code / folder)

    def run(self, *words: object, **environment: str) -> Done:
        """Run a command."""
        own = {"PYTHONPATH": str(self.links), "VIDREP_WEIGHTS": "", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-m", "vidrep_cli", *map(str, words)],
            env=os.environ | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=300,
        )
        text = done.stdout.decode("utf-8", "replace").replace("\r", "\n")
        shown = [line for line in text.splitlines() if line.strip() and not line.startswith(("extract:", "import:"))]
        return Done(done.returncode, shown)

    def extract(self, *words: object, size: int = 8, **environment: str) -> Done:
        """Extract patches to f.h5."""
        return self.run(
            *("extract", "patches", *words, "-o", "f.h5", "--overwrite"),
            *("--size", size, "--rgb", "--workers", 0),
            **environment,
        )


@dataclass(frozen=True)
class Row:
    """A video of f.h5."""

    key: str
    label: str
    split: str
    fps: float
    frames: Any
    seconds: list[float]


def rows() -> list[Row]:
    """Read f.h5; [] if it is not there."""
    if not Path("f.h5").exists():
        return []
    features = open_features("f.h5")
    return [
        Row(one.path, one.label, one.split, one.fps, features.rows(number), features.timestamps(number).tolist())
        for number, one in enumerate(features.videos)
    ]


def _labels() -> str:
    return ", ".join(f"{row.key}: {row.label}{row.split and f' ({row.split})'}" for row in rows())


def _written(name: str, value: int = 100, num_frames: int = 3) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((num_frames, 16, 16, 3), value, np.uint8)
    pixels[:, :, 8:] = np.random.default_rng(len(name) + value).integers(0, 256, 3)
    write_h264(path, pixels, frames_per_second=5)
    return path


# ---- situations, by the line of the issue


def _mirrored(vidrep: Vidrep) -> str:
    right = []
    for name, (matrix, _, corners) in odd_files.ORIENTATIONS.items():
        write_h264(Path("a.mp4"), np.stack([odd_files.quarters()] * 3), frames_per_second=10)
        odd_files.set_display_matrix(Path("a.mp4"), matrix, side=odd_files.SIDE)
        vidrep.extract("a.mp4", size=odd_files.SIDE)
        shown = rows()[0].frames[0][:: odd_files.SIDE - 1, :: odd_files.SIDE - 1, 0].astype(int)
        right += [name] if np.abs(shown - corners).max() <= 4 else []
    return f"{len(right)} of 8 come out right: {', '.join(right)}"


def _opencv(vidrep: Vidrep) -> str:
    odd_files.write_dv(Path("a.dv"))
    done = vidrep.extract("a.dv", "--decoder", "opencv")
    if not rows():
        return done.last
    darkest = [int(frame.mean()) for frame in rows()[0].frames]
    vidrep.extract("a.dv", "--decoder", "pyav")
    right = [int(frame.mean()) for frame in rows()[0].frames]
    return f"exit {done.code}; mean brightness {darkest[:3]} ..., by PyAV {right[:3]} ..."


def _joined(vidrep: Vidrep) -> str:
    odd_files.write_joined(Path("a.ts"))
    vidrep.extract("a.ts")
    (whole,) = rows()
    text = f"{len(whole.seconds)} frames, the last at {whole.seconds[-1]:.1f} s"
    for words in (("--fps", 5), ("--start", 3, "--end", 3.5)):
        Path("f.h5").unlink(missing_ok=True)
        vidrep.extract("a.ts", *words)
        text += f"; {' '.join(map(str, words))}: {len(rows()[0].seconds) if rows() else 0} frames"
    return text


def _rates(vidrep: Vidrep) -> str:
    odd_files.write_dv(Path("a.dv"))
    odd_files.write_raw_h264(Path("b.h264"))
    odd_files.write_browser_webm(Path("c.webm"))
    text = []
    for name in ("a.dv", "b.h264", "c.webm"):
        guess = vidrep.extract(name, "--dry-run").line("about").partition(" frames")[0]
        vidrep.extract(name)
        text.append(f"{name}: {rows()[0].fps:.6g} frames/s, dry run {guess}")
    return "; ".join(text)


def _streams(vidrep: Vidrep) -> str:
    odd_files.write_two_streams(Path("a.mp4"))
    done = vidrep.extract("a.mp4")
    return f"{len(rows()[0].seconds)} frames; {done.line('stream')}"


def _unicode(vidrep: Vidrep) -> str:
    _written(f"clips/{DECOMPOSED}/a.mp4")
    Path("l.csv").write_text(f"video,label\n{COMPOSED}/a.mp4,bistro\n", encoding="utf-8")
    labeled = vidrep.extract("clips", "--labels", "l.csv")
    text = f"a list in the other form: {rows()[0].label if rows() else labeled.last}"
    _written(f"more/{COMPOSED}/b.mp4")
    vidrep.extract("clips", "more")
    with h5py.File("f.h5") as file:  # as they are stored: reading composes them
        return f"{text}; mixed sources: {len(set(file['videos/label'][:].tolist()))} classes"


def _split_folders(vidrep: Vidrep) -> str:
    for name in ("train/run/a", "train/jump/b", "test/run/c"):
        _written(f"clips/{name}.mp4")
    vidrep.extract("clips")
    return _labels()


def _left_out(vidrep: Vidrep) -> str:
    odd_files.write_gif(_written("clips/jump/a.mp4").with_name("b.gif"))
    _written("clips/run/c.mp4").rename("clips/run/c.mod")
    Path("clips/run/d.xyz").write_text("")
    done = vidrep.extract("clips")
    return f"{_labels()}; {done.line('left out')}"


def _importing(vidrep: Vidrep) -> str:
    Path("arrays/run").mkdir(parents=True)
    Path("away").mkdir()
    rng = np.random.default_rng(0)
    for name in ("arrays/run/a_rgb.npy", "away/c.npy"):
        np.save(name, rng.random((5, 4), np.float32))
    with Path("arrays/run/b.NPY").open("wb") as file:
        np.save(file, rng.random((1, 5, 4), np.float32))
    np.save("arrays/run/a_fps.npy", np.array(25.0))
    np.save("arrays/run/a_timestamps_ms.npy", np.arange(5) * 40.0)
    Path("arrays/jump").symlink_to(Path("away").resolve())
    done = vidrep.run("import", "arrays", "-o", "f.h5", "--overwrite")
    found = ", ".join(f"{row.key} {len(row.seconds)} frames" for row in rows())
    return f"exit {done.code}: {found}; {done.line('links')}"


def _empty_chunks(vidrep: Vidrep) -> str:
    odd_files.write_empty_chunks(Path("a.avi"))
    done = vidrep.extract("a.avi")
    return f"exit {done.code}, {len(rows()[0].seconds)} frames; {done.line('a.avi:')}"


def _bytes_behind(vidrep: Vidrep) -> str:
    path = _written("a.mp4")
    path.write_bytes(path.read_bytes() + bytes(7))
    done = vidrep.extract("a.mp4")
    return f"exit {done.code}; {done.line('a.mp4:')}"


def _closed_folder(vidrep: Vidrep) -> str:
    """Python refuses to list the folder, as a mode would not do for root."""
    _written("clips/run/a.mp4")
    _written("clips/lost+found/b.mp4")
    Path("sitecustomize.py").write_text(_CLOSED, encoding="utf-8")
    done = vidrep.extract("clips", PYTHONPATH=os.pathsep.join([str(Path.cwd()), str(vidrep.links)]))
    return f"{len(rows())} videos; exit {done.code}; {done.line('lost+found')}"


def _open_elsewhere(vidrep: Vidrep) -> str:
    with h5py.File("a.h5", "w") as file:
        file["features"] = np.ones((2, 5, 4), np.float32)
    with h5py.File("a.h5", "r+"):
        return vidrep.run("import", "a.h5", "-o", "f.h5").last


def _encodings(vidrep: Vidrep) -> str:
    _written("a.mp4")
    words = ("extract", "patches", "a.mp4", "-o", f"{JAPANESE}.h5", "--workers", 0)
    done = vidrep.run(*words, PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    if done.line("Traceback") != "no line":
        return f"exit {done.code}, a traceback: {_short(done.lines[-1])}"
    return f"exit {done.code}; {done.line('1 videos').partition(';')[0]}"


def _long_messages(vidrep: Vidrep) -> str:
    with h5py.File("many.h5", "w") as file:
        for number in range(5000):
            file.create_group(f"a group with quite a long name, such as data sets have {number:050}").attrs["a"] = 1
    done = vidrep.run("import", "many.h5", "-o", "f.h5")
    return f"exit {done.code}; the longest line has {max(map(len, done.lines)):,} characters"


def _frame_folders(vidrep: Vidrep) -> str:
    for name, darkest in (("run/a", 20), ("jump/b", 30)):
        odd_files.write_frames(Path("clips") / name, range(1, 6), darkest=darkest)
    done = vidrep.extract("clips")
    return "; ".join(f"{row.key}: {row.label}, {len(row.seconds)} frames" for row in rows()) or done.last


def _layouts(vidrep: Vidrep) -> str:
    import torch
    from scipy.io import savemat

    array = np.random.default_rng(0).random((5, 4), np.float32)
    with h5py.File("a.h5", "w") as file:
        file["run/a/features"] = array
        file["jump/b/features"] = array
    Path("b").mkdir()
    savemat("b/b.mat", {"features": array})
    Path("c").mkdir()
    torch.save(torch.from_numpy(array), "c/c.pt")
    text = []
    for name in ("a.h5", "b", "c"):
        Path("f.h5").unlink(missing_ok=True)
        done = vidrep.run("import", name, "-o", "f.h5")
        text.append(f"{name}: {f'{len(rows())} videos' if rows() else done.last}")
    return "; ".join(text)


def _lists(vidrep: Vidrep) -> str:
    for name in ("run/a", "jump/b"):
        _written(f"clips/{name}.mp4")
    Path("hmdb").mkdir()
    for label, line in (("run", "a.avi 1"), ("jump", "b.avi 2")):
        Path(f"hmdb/{label}_test_split1.txt").write_text(f"{line}\n")
    Path("excel.csv").write_bytes(b"\xef\xbb\xbfVideo;Label;Group\r\nrun\\a;x;p1\r\njump\\b;y;p2\r\n")
    Path("list.txt").write_text("run/a.mp4 0\njump/b.mp4 1\n")
    text = []
    for what, path in (("HMDB-51", "hmdb"), ("Excel", "excel.csv"), ("mmaction2", "list.txt")):
        Path("f.h5").unlink(missing_ok=True)
        done = vidrep.extract("clips", "--labels", path)
        text.append(f"{what}: {', '.join(row.label + row.split for row in rows()) if rows() else done.last}")
    return "; ".join(text)


def _own_weights(vidrep: Vidrep) -> str:
    import torch
    from torchvision.models import resnet18

    torch.save({"state_dict": resnet18(num_classes=7).state_dict()}, "own.pt")
    _written("a.mp4", num_frames=1)
    words = ("extract", "cnn", "a.mp4", "--model", "resnet18", "--weights", "own.pt", "-o", "f.h5", "--workers", 0)
    done = vidrep.run(*words)
    return f"{len(rows())} videos; {done.line('own.pt')}" if rows() else done.last


def _url(vidrep: Vidrep) -> str:
    return vidrep.extract("https://example.org/a.mp4").last


@dataclass(frozen=True)
class Situation:
    """A line of the table.

    run: gives what vidrep makes of it. before, after: the same in words, where it takes a system of its own.
    """

    number: int
    what: str
    run: Callable[[Vidrep], str] | None = None
    before: str = ""
    after: str = ""


SITUATIONS = [
    Situation(1, "display matrices of all eight orientations", _mirrored),
    Situation(2, "raw DV, interlaced, by OpenCV's decoder", _opencv),
    Situation(3, "two recordings joined in one .ts, 40 frames in 4 s", _joined),
    Situation(4, "raw DV of 10 frames at 25/s, raw H.264 of 20 at 50/s, a browser's WebM of 20 at 30/s", _rates),
    Situation(5, "3 thumbnails as the first stream, 30 frames as the second", _streams),
    Situation(6, "names in Unicode's decomposed and composed forms", _unicode),
    Situation(7, "folders train and test with class folders in them", _split_folders),
    Situation(8, "a .gif, a .mod and a file .xyz among .mp4", _left_out),
    Situation(9, "import of b.NPY, (1, 5, 4), beside x_fps.npy, x_timestamps_ms.npy and a linked folder", _importing),
    Situation(10, "an AVI with 6 empty chunks", _empty_chunks),
    Situation(11, "seven bytes behind a whole MP4", _bytes_behind),
    Situation(12, "a folder without permission among others", _closed_folder),
    Situation(13, "import of an HDF5 file that a notebook holds open for writing", _open_elsewhere),
    Situation(
        13,
        "a disk without locks (ENOLCK)",
        before="the extraction fails at its end *",
        after="files are opened without locks (tests/features/test_hdf5.py)",
    ),
    Situation(14, "a Japanese name in the summary, on a console in cp1252", _encodings),
    Situation(15, "import of a file with 5,000 groups that hold nothing", _long_messages),
    Situation(16, "folders run/a and jump/b of five numbered images", _frame_folders),
    Situation(17, "import of an HDF5 file with two groups, one a video, and of folders of .mat and of .pt", _layouts),
    Situation(18, "`--labels` with lists as HMDB-51, Excel and mmaction2 write them", _lists),
    Situation(19, "ResNet-18 with seven classes, under state_dict", _own_weights),
    Situation(20, "a URL", _url),
]


@contextmanager
def vidrep_of(commit: str | None) -> Iterator[Vidrep]:
    """Give the command line of a commit; None is the checkout."""
    with code_of(commit) as code, tempfile.TemporaryDirectory(prefix="vidrep-links-") as links:
        yield Vidrep(code, Path(links))


def outcome(situation: Situation, vidrep: Vidrep) -> str:
    """Run a situation in a folder of its own."""
    assert situation.run is not None
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as folder:
        os.chdir(folder)
        try:
            return situation.run(vidrep)
        finally:
            os.chdir(here)


def table(before: Sequence[str], after: Sequence[str]) -> str:
    """Return a Markdown table, one line a situation."""
    lines = ["| line | situation | before | after |", "|---|---|---|---|"]
    for situation, old, new in zip(SITUATIONS, before, after, strict=True):
        lines.append(f"| {situation.number} | {situation.what} | {old} | {new} |")
    return "\n".join(lines)


def outcomes(commit: str | None) -> list[str]:
    """Run all situations under a commit, None for the checkout."""
    with vidrep_of(commit) as vidrep:
        return [outcome(one, vidrep) if one.run else (one.before if commit else one.after) for one in SITUATIONS]


if __name__ == "__main__":
    print(table(outcomes(sys.argv[1] if len(sys.argv) > 1 else BEFORE), outcomes(None)))
