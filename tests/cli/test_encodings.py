"""Names that an encoding lacks, or that hold line feeds, are printed as escapes and break nothing."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from running import vidrep

from vidrep.features.store import open_features
from vidrep.inference.predict import Predictions, VideoPrediction
from vidrep_cli.layout import fields, in_a_line, table

WAVE = "手を振る"
ESCAPED = r"\u624b\u3092\u632f\u308b"  # of the Unicode code charts: 手 U+624B, を U+3092, 振 U+632F, る U+308B


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips, of which one fails, in a folder with a Japanese name."""
    for number in (1, 2):
        path = tmp_path / "clips" / WAVE / "動画" / f"img_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        ok, content = cv2.imencode(".png", np.full((8, 8, 3), 50 * number, np.uint8))
        assert ok
        path.write_bytes(content.tobytes())
    (tmp_path / "clips" / WAVE / "壊.mp4").write_bytes(b"no video")
    return tmp_path / "clips"


def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "vidrep_cli", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=60)


C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize(
    ("environment", "encoding", "wave_on_stdout"),
    [
        ({"PYTHONIOENCODING": "cp1252"}, "cp1252", ESCAPED),
        ({"LC_ALL": "C"}, "utf-8", WAVE),
        (C_LOCALE, "utf-8", None),
    ],
    ids=["cp1252", "C", "C without UTF-8 mode"],
)
def test_an_extraction_of_japanese_names(
    clips: Path, tmp_path: Path, environment: dict[str, str], encoding: str, wave_on_stdout: str | None
) -> None:
    output = tmp_path / f"{WAVE}.h5"
    command = ("extract", "patches", clips, "-o", output, "--size", "8", "--workers", "0")
    done = run(*command, **environment)
    stderr = done.stderr.decode(encoding)
    assert done.returncode == 4, stderr
    assert "Traceback" not in stderr
    stdout = done.stdout.decode(encoding).replace("\r\n", "\n")
    assert ": 1 videos, 2 frames; 1 new, 2 frames in" in stdout
    if wave_on_stdout:
        assert stdout.startswith(f"{tmp_path / wave_on_stdout}.h5: ")
    assert "1 videos failed, 0 are partial" in stderr
    (row,) = open_features(output).videos
    assert (row.path, row.label) == (f"{WAVE}/動画", WAVE)
    listed = (tmp_path / f"{WAVE}.failures.csv").read_text(encoding="utf-8")
    assert [line["video"] for line in csv.DictReader(io.StringIO(listed))] == [f"{WAVE}/壊.mp4"]


PREDICTED = Predictions(
    videos=[
        VideoPrediction(
            path="a\nb/c\x7f.mp4", key="c\x7f.mp4", label="run\t", probabilities={"run\t": 0.75, "sit": 0.25}
        ),
        VideoPrediction(
            path=f"{WAVE}\u2028　😀.mp4", key="x.mp4", label="sit", probabilities={"sit": 1.0, "run\t": 0.0}
        ),
    ],
    failures=[],
)


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidrep.inference.kind_of_run.finds_bouts", lambda run: False)
    monkeypatch.setattr("vidrep.inference.predict.predict", lambda *_, **__: PREDICTED)


@pytest.mark.usefixtures("predicted")
def test_a_line_feed_in_a_name_does_not_break_the_line_of_predict() -> None:
    code, stdout, _ = vidrep("predict", "run", "a.mp4")
    assert code == 0
    assert stdout.split("\n") == [
        r"a\nb/c\x7f.mp4: run\t, 0.750",
        f"{WAVE}\\u2028　😀.mp4: sit, 1.000",
        "",
    ]


@pytest.mark.usefixtures("predicted")
def test_json_and_csv_hold_the_names_themselves() -> None:
    _, stdout, _ = vidrep("predict", "run", "a.mp4", "--json")
    names = [video.path for video in PREDICTED.videos]
    assert [one["path"] for one in json.loads(stdout)] == names
    _, stdout, _ = vidrep("predict", "run", "a.mp4", "--csv")
    assert [row["path"] for row in csv.DictReader(io.StringIO(stdout, newline=""))] == names


PREDICT = """
import sys
from types import ModuleType, SimpleNamespace as Made
library = sys.modules["vidrep.inference.predict"] = ModuleType("without torch")
kinds = sys.modules["vidrep.inference.kind_of_run"] = ModuleType("without a run")
kinds.finds_bouts = lambda run: False
of_all = {"key": "x", "label": "手", "probability": 1.0, "probabilities": {"手": 1.0}}
videos = [Made(path=name, **of_all) for name in ("😀\\n.mp4", "a.mp4")]
library.predict = lambda *_, **__: Made(videos=videos, failures=[])
from vidrep_cli.main import main
main()
"""


@pytest.mark.parametrize("form", ["lines", "--json", "--csv"])
def test_predictions_in_another_encoding(form: str) -> None:
    options = [] if form == "lines" else [form]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, "predict", "run", "a.mp4", *options],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("cp1252").replace("\r\n", "\n")
    if form == "--json":
        assert [one["path"] for one in json.loads(text)] == ["😀\n.mp4", "a.mp4"]
    elif form == "--csv":
        assert text == 'path,key,label,\\u624b\n"\\U0001f600\n.mp4",x,\\u624b,1.000000\na.mp4,x,\\u624b,1.000000\n'
    else:
        assert text == "\\U0001f600\\n.mp4: \\u624b, 1.000\na.mp4: \\u624b, 1.000\n"


def test_control_characters_are_escaped_in_every_line() -> None:
    assert in_a_line("a\tb\n\x85\x7f\\ é　") == r"a\tb\n\x85\x7f\ é　"
    assert fields({"labels": "a\nb"}) == r"labels  a\nb"
    assert table(["x"], [["a\nb"]]).splitlines() == ["x", r"a\nb"]


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not take")
def test_a_failed_video_with_a_line_feed_is_one_line(clips: Path, tmp_path: Path) -> None:
    (clips / "a\nb.mp4").write_bytes(b"no video")
    code, _, stderr = vidrep("extract", "patches", clips, "-o", tmp_path / "f.h5", "--size", "8", "--workers", "0")
    assert code == 4
    assert [line.partition(": not a video")[0] for line in stderr.splitlines()[-3:-1]] == [
        r"failed: a\nb.mp4",
        f"failed: {WAVE}/壊.mp4",
    ]
    (tmp_path / "bad\nones").mkdir()
    (tmp_path / "bad\nones" / "a.mp4").write_bytes(b"no video")
    code, _, stderr = vidrep("extract", "patches", tmp_path / "bad\nones", "-o", tmp_path / "g.h5", "--workers", "0")
    assert code == 3
    assert stderr.splitlines()[-1].startswith("vidrep: none of the 1 videos could be read; a.mp4: not a video that")
