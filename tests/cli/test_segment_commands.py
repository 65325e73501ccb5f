"""`--annotations` of finetune and evaluate, and predict on what they make: files, and one line for each mistake."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from running import one_line, vidrep
from small_features import circles, features_of, finetune_config
from small_segments import FPS, moving_features, trained_run

from vidrep.segments.frame_clock import ConstantRate
from vidrep.segments.reading import read_segments
from vidrep.segments.writing import write_segments
from vidrep.training.finetune import finetune

SMALL = ["--set", "encoder.hidden_size=5", "--steps", "4", "--device", "cpu", "--threads", "1", "-q"]
TABLE = "video,start,end,label\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Features of five videos of 60 frames, a run of them, and the annotations beside it."""
    folder = tmp_path_factory.mktemp("small")
    features, annotations, run = trained_run(folder)
    write_segments(annotations, folder / "segments.csv")
    return features.path, run


def test_a_run_is_trained_resumed_evaluated_and_compared(tmp_path: Path) -> None:
    splits = {"v0.npy": "test", "v1.npy": "validation"}
    features, annotations = moving_features(tmp_path, splits, num_videos=4, num_frames=40, seed=1)
    table, run = tmp_path / "segments.csv", tmp_path / "run"
    write_segments(annotations, table)
    options = ["--annotations", table, "--set", "training.validate_every=2", *SMALL]
    code, stdout, stderr = vidrep("finetune", features.path, "-o", run, *options)
    assert code == 0, stderr
    text = stdout + stderr
    assert "from scratch, 3 labels" in text
    code, stdout, stderr = vidrep("finetune", "-o", run, "--resume", *SMALL[2:])
    assert code == 0, stderr
    given = vidrep("evaluate", run, features.path, "--annotations", table, "--device", "cpu")
    recorded = vidrep("evaluate", run, features.path, "--device", "cpu")
    assert given[0] == recorded[0] == 0, given[2]
    assert given[1] == recorded[1]
    assert "1 videos of split 'test'" in given[1]
    assert "The LSTM, by segmental F1 at 50 % overlap, is" in given[1]
    code, stdout, _ = vidrep("evaluate", run, features.path, "--json", "--device", "cpu")
    assert json.loads(stdout)["labels"] == ["left", "right", "background"]
    code, stdout, stderr = vidrep("compare", run, run, features.path, "--device", "cpu")
    assert code == 0, stderr
    assert "segmental F1 at 50 % overlap per video" in stdout
    table.rename(tmp_path / "moved.csv")
    one_line(["evaluate", run, features.path, "--device", "cpu"], 3, "cannot be read any more", "--annotations FILE")
    one_line(["finetune", "-o", run, "--resume", *SMALL[2:]], 3, "segments.csv", "does not exist")


def test_causal_and_several_labels(tmp_path: Path) -> None:
    features, annotations = moving_features(tmp_path, num_videos=1, num_frames=40, seed=1)
    write_segments(annotations, tmp_path / "segments.csv")
    options = ["--annotations", tmp_path / "segments.csv", "--causal", "--multi-label", *SMALL[:-1]]
    code, stdout, stderr = vidrep("finetune", features.path, "-o", tmp_path / "run", *options)
    assert code == 0, stderr
    assert "causal: no later frame counts" in stdout
    assert "none is held out" in stdout
    config = (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    assert "several_labels = true" in config
    assert "bidirectional = false" in config


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            "v0.npy,0,1,a\nv0.npy,0.5,1.5,b\n",
            ("line 2", "line 3", "'a' and 'b' overlap from 0.5 s", "--multi-label"),
        ),
        ("v0.npy,0,1,a\nv0.npy,1,9,b\n", ("line 3", "1 s to 9 s lies outside 'v0.npy', which ends at 1.600 s")),
        ("v0.npy,0,1,a\nv0.npy,1.2,1.1,b\n", ("line 3", "ends at 1.1 s, before it starts at 1.2 s")),
        ("w.npy,0,1,a\nw.npy,1,2,b\n", ("none of the annotated videos is in it", "w.npy")),
        ("v0.npy,0,1,a\n", ("have a alone", "--background NAME")),
        ("", ("there are annotations, but no row of them",)),
    ],
)
def test_annotations_that_cannot_be_learned_from(tmp_path: Path, rows: str, words: tuple[str, ...]) -> None:
    features, _ = moving_features(tmp_path, num_videos=2, num_frames=40)
    (tmp_path / "a.csv").write_text(TABLE + rows, encoding="utf-8")
    one_line(
        ["finetune", features.path, "-o", tmp_path / "run", "--annotations", tmp_path / "a.csv", *SMALL], 3, *words
    )
    assert not (tmp_path / "run").exists()


def test_frames_of_another_rate(tmp_path: Path) -> None:
    features, _ = moving_features(tmp_path, num_videos=1, num_frames=40)
    (tmp_path / "v0_labels.csv").write_text(",background,a\n" + "".join(f"{n},1,0\n" for n in range(90)), "utf-8")
    arguments: list[object] = ["finetune", features.path, "-o", tmp_path / "run"]
    one_line(
        [*arguments, "--annotations", tmp_path / "v0_labels.csv", *SMALL], 3, "90 frames, but 'v0", "another frame"
    )


def test_labels_that_training_lacks_and_missing_videos_are_said(small: tuple[Path, Path], tmp_path: Path) -> None:
    features, run = small
    (tmp_path / "a.csv").write_text(TABLE + "v0.npy,0,1,swim\nv0.npy,1,2,left\nw.npy,0,1,left\n", encoding="utf-8")
    code, _, stderr = vidrep("evaluate", run, features, "--annotations", tmp_path / "a.csv", "--device", "cpu")
    assert code == 0
    assert "1 segments have labels that the run was not trained on and are left out: swim" in stderr
    assert "1 annotated videos are not among the 5 of the features and are left out: w.npy" in stderr
    assert "line 4" in stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--labels", "a.csv", "--annotations", "b.csv"], ("--labels", "labels of whole videos")),
        (["--multi-label"], ("--multi-label", "give --annotations FILE")),
        (["--causal", "--background", "x"], ("--background, --causal", "give --annotations FILE")),
    ],
)
def test_options_that_do_not_go_together(
    small: tuple[Path, Path], tmp_path: Path, options: list[str], words: tuple[str, ...]
) -> None:
    one_line(["finetune", small[0], "-o", tmp_path / "run", *options, *SMALL], 2, *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "boris"], ("--format boris is of a file that -o FILE names",)),
        (["--frames-format", "npy"], ("--frames-format npy is of a file that --frames FILE names",)),
        (["-o", "out", "--format", "simba"], ("SimBA's frames, a row a frame: give --annotation-rate X",)),
        (["--bins", "5"], ("--bins divides --summary FILE",)),
    ],
)
def test_options_of_prediction_that_lack_another(
    small: tuple[Path, Path], options: list[str], words: tuple[str, ...]
) -> None:
    features, run = small
    one_line(["predict", run, features, *options], 2, *words)


def predict(run: Path, features: Path, *options: object) -> tuple[int, str, str]:
    return vidrep("predict", run, features, "--device", "cpu", "--threads", "1", *options)


def test_bouts_are_printed(small: tuple[Path, Path]) -> None:
    features, run = small
    code, stdout, _ = predict(run, features)
    assert code == 0
    assert "v0.npy: " in stdout
    assert "bouts in 2.4 s" in stdout
    found = json.loads(predict(run, features, "--json")[1])
    rows = list(csv.DictReader(predict(run, features, "--csv")[1].splitlines()))
    bouts = [(one["key"], bout) for one in found for bout in one["bouts"]]
    assert [one["key"] for one in found] == [f"v{number}.npy" for number in range(5)]
    assert [(one["start"], one["end"]) for one in found] == [(0, 60 / FPS)] * 5
    assert len(rows) == len(bouts) > 3
    for row, (key, bout) in zip(rows, bouts, strict=True):
        assert (row["key"], row["label"]) == (key, bout["label"])
        assert float(row["start"]) == pytest.approx(bout["start"], abs=1e-3)
        assert float(row["confidence"]) == pytest.approx(bout["confidence"], abs=1e-6)
    best = json.loads(predict(run, features, "--json", "--top-k", "1", "--start", "0.4", "--end", "2")[1])
    for one in best:
        labels = [bout["label"] for bout in one["bouts"]]
        assert len(labels) == len(set(labels))
        assert (one["start"], one["end"]) == (0.4, 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bouts.json", []),
        ("bouts.tsv", ["--format", "boris"]),
        ("out", ["--format", "elan"]),
        ("out", ["--format", "vtt"]),
        ("out", ["--format", "deepethogram", "--annotation-rate", FPS]),
    ],
)
def test_bouts_are_written_in_any_format(
    small: tuple[Path, Path], tmp_path: Path, name: str, options: list[object]
) -> None:
    features, run = small
    found = json.loads(predict(run, features, "--json", "-q", "-o", tmp_path / name, *options)[1])
    written = read_segments(tmp_path / name, frame_clock=ConstantRate(FPS))
    expected = [(round(bout["start"], 2), bout["label"]) for one in found for bout in one["bouts"]]
    assert sorted(expected) == sorted((round(one.start, 2), one.label) for one in written.segments)
    one_line(["predict", run, features, "--device", "cpu", "-o", tmp_path / name, *options], 5, "exists", "--overwrite")


def test_tables_are_written(small: tuple[Path, Path], tmp_path: Path) -> None:
    features, run = small
    table, summary, bins, frames = (tmp_path / name for name in ("b.csv", "s.csv", "bins.csv", "frames.h5"))
    found = json.loads(predict(run, features, "--json", "-o", table, "--summary", summary, "--frames", frames)[1])
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == sum(len(one["bouts"]) for one in found)
    assert "confidence" in rows[0]
    totals = {(row["video"], row["label"]): row for row in csv.DictReader(summary.read_text("utf-8").splitlines())}
    assert len(totals) == 10
    for one in found:
        for label in ("left", "right"):
            durations = [bout["end"] - bout["start"] for bout in one["bouts"] if bout["label"] == label]
            row = totals[one["key"], label]
            assert int(row["count"]) == len(durations)
            assert float(row["total_seconds"]) == pytest.approx(np.sum(durations), abs=1e-3)
    assert frames.is_file()
    assert predict(run, features, "--summary", bins, "--bins", "1")[0] == 0
    assert len(bins.read_text(encoding="utf-8").splitlines()) == 1 + 5 * 2 * 3
    assert read_segments(table).labels == ("left", "right")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--bins", "1"], 2, ("--bins divides --summary FILE",)),
        (["--summary", "s.csv", "--bins", "0"], 2, ("bins of 0",)),
        (["-o", "x.xyz"], 2, ("its ending names no format",)),
        (["--format", "bori", "-o", "x"], 2, ("'bori'", "'boris'")),
        (["--threshold", "2"], 2, ("threshold 2",)),
        (["--smoothing", "-1"], 2, ("smoothing -1",)),
        (["--start", "2", "--end", "1"], 2, ("end 1", "above the start, 2")),
        (["--frames", "x.xyz"], 2, ("--frames-format",)),
        (["--json", "--csv"], 2, ("--json and --csv",)),
        (["--features", "kept.h5"], 3, ("features are given",)),
    ],
)
def test_mistakes_of_predict(
    small: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    one_line(["predict", small[1], small[0], "--device", "cpu", *options], code, *words)
    assert not list(tmp_path.iterdir())


def test_a_classifier_of_clips_needs_timeline(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(6, num_frames=12), fps=FPS)
    run = finetune(features, tmp_path / "run", finetune_config(length=4, steps=5), device="cpu").folder
    one_line(
        ["predict", run, features.path, "--device", "cpu", "--summary", "s.csv"], 2, "--summary: ", "add --timeline"
    )
    code, stdout, stderr = predict(run, features.path, "--timeline", "--json")
    assert code == 0
    assert "was trained on whole clips" in stderr
    assert len(json.loads(stdout)) == 12
    assert "bouts" not in predict(run, features.path)[1]
