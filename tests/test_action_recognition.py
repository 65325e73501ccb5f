"""The script of UCF-101 and HMDB-51: from a few videos with the names and lists of UCF-101 to the table; bad input."""

import csv
import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vidrep.evaluation.paper_figures import ACTIONS
from vidrep.features.store import open_features
from vidrep.video.writing import write_h264

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
CLASSES = ("Archery", "Biking", "HandstandPushups")
GROUPS, TESTED = range(1, 5), {1: 1, 2: 2}  # of each class; which one is tested, by split
SMALL = [
    "encoder.hidden_size=4",
    "encoder.num_layers=1",
    "training.steps=2",
    "training.validate_every=2",
    "training.batch_size=4",
]
WINDOWS = ["windows.context=4", "windows.num_future=3", "windows.stride=4"]
COUNTS = {"train": 9, "test": 3}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("action_recognition")


def key(name: str, group: int) -> str:
    shown = name.replace("stand", "Stand")  # as in UCF-101, whose folder and files differ there
    return f"{name}/v_{shown}_g{group:02}_c01.avi"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: videos of 17 to 28 frames, and lists of two splits."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number, (name, group) in enumerate((name, group) for name in CLASSES for group in GROUPS):
        path = tmp_path / "UCF-101" / key(name, group)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_h264(path, rng.integers(0, 256, (17 + number, 16, 16, 3), np.uint8), frames_per_second=25)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{n} {name}\r\n" for n, name in enumerate(CLASSES, start=1)))
    for split, tested in TESTED.items():
        train = [f"{key(name, group)} {n}" for n, name in enumerate(CLASSES, 1) for group in GROUPS if group != tested]
        (lists / f"trainlist{split:02}.txt").write_text("\r\n".join(train) + "\r\n")
        (lists / f"testlist{split:02}.txt").write_text("\r\n".join(key(name, tested) for name in CLASSES) + "\r\n")
    return tmp_path


def words(*more: str, splits: tuple[str, ...] = ("1", "2"), videos: str = "UCF-101") -> list[str]:
    changes = [f"--pretrain-set={one}" for one in (*SMALL, *WINDOWS)] + [f"--finetune-set={one}" for one in SMALL]
    extract = ["--extract", "patches --size 4 --workers 0"]
    return ["ucf101", videos, "lists", "-o", "out", *extract, *changes, "--threads", "1", *more, "--splits", *splits]


def refused(script: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        script.main(arguments)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("action_recognition: ")]
    assert isinstance(ended.value.code, int)
    return ended.value.code, line


@pytest.mark.slow
def test_from_videos_to_the_table_and_on_after_an_end(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.main(words(splits=("1",)))
    script.main(words())
    table = (folder / "out" / "table.md").read_text()
    results = {path.relative_to(folder / "out" / "results"): json.loads(path.read_text()) for path in sorted(
        (folder / "out" / "results").glob("split*/*/result.json")
    )}  # fmt: skip
    assert [str(path.parent) for path in results] == [
        f"split{split}/{name}" for split in TESTED for name in ("composite", "scratch")
    ]
    for path, result in results.items():
        run = folder / "out" / "results" / path.parent / "run"
        rows = list(csv.DictReader((run / "videos.csv").read_text().splitlines()))
        assert {row["video"] for row in rows if row["split"] == "test"} == {
            key(name, TESTED[int(str(path)[5])]) for name in CLASSES
        }
        assert {name: result[name] for name in COUNTS} == COUNTS
        lengths = {row.path: row.length for row in open_features(folder / "out" / "features.h5").videos}
        tested = [lengths[row["video"]] for row in rows if row["split"] == "test"]
        assert result["windows"] == sum((length - 16) // 8 + 1 for length in tested)
    for split in TESTED:
        assert f"| {split} | 9 | 3 |" in table
    assert "| (9537, 3783) |" in table and "| (9586, 3734) |" in table
    scratch = [results[Path(f"split{split}/scratch/result.json")]["accuracy"]["LSTM"] for split in TESTED]
    assert (
        f"| LSTM, random weights | {scratch[0]:.1f} | {scratch[1]:.1f} | {np.mean(scratch):.1f} | 74.5 (recalled) |"
        in (table)
    )
    assert re.search(r"\| LSTM, from the composite model \|.*\| 75\.8 \|\n", table)
    monkeypatch.setattr(script.vidrep, "train", None)  # nothing is trained again
    monkeypatch.setattr(script.vidrep, "finetune", None)
    script.main(words())
    assert (folder / "out" / "table.md").read_text() == table


def test_bad_input_is_one_line(
    script: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    features = script.features_of(Path("UCF-101"), folder, "patches --size 4 --workers 0").path
    given = words(videos=str(features))
    assert refused(script, capsys, words(splits=("3",), videos=str(features))) == (
        3,
        "action_recognition: 'lists' has no lists with the number 3: it has 1, 2",
    )
    tests = folder / "lists" / "testlist01.txt"
    whole = tests.read_text()
    tests.write_text(whole + "Biking/v_Biking_g09_c01.avi\n")
    assert refused(script, capsys, given) == (
        3,
        "action_recognition: split 1: 1 of 13 listed videos have no features: Biking/v_Biking_g09_c01.avi; extract "
        "them, or leave them out with --allow-missing",
    )
    tests.write_text("\n".join(whole.splitlines()[1:]) + "\n")
    assert refused(script, capsys, given) == (
        3,
        "action_recognition: split 1: class 'Archery' has no test video; add videos of it",
    )
    tests.write_text(whole)
    monkeypatch.setattr(script.Protocol, "run_split", lambda *args: {})
    monkeypatch.setattr(script, "table", lambda *args: "")
    script.main(given)
    code, line = refused(script, capsys, [*given, "--finetune-set=training.seed=1"])
    assert code == 5 and "holds results of other settings: finetuning.training.seed is 0, not 1" in line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
def test_the_stand_ins_have_the_counts_of_the_official_lists(
    name: str, script: ModuleType, real_data: Path, tmp_path: Path
) -> None:
    """All names of the official lists, features of each, and every split's counts after the protocol's own checks."""
    stand_ins = importlib.import_module("action_stand_ins")
    videos = stand_ins.DATA_SETS[name](real_data / "splits" / name, tmp_path / "lists")
    features = stand_ins.write_features(videos, tmp_path)
    protocol = script.Protocol(
        name=name,
        features=open_features(features),
        lists=tmp_path / "lists",
        unlabeled=None,
        numbers=(1, 2, 3),
        allow_missing=False,
        pretraining=script.PretrainConfig(),
        finetuning=script.FinetuneConfig(),
        computing={},
    )
    assert len(protocol.features) == len(videos) == {"ucf101": 13_320, "hmdb51": 6_766}[name]
    for number in protocol.numbers:
        splits = [one.split for one in protocol.annotations(number).values()]
        assert (splits.count("train"), splits.count("test")) == ACTIONS[name].num_videos[number]
