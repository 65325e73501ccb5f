"""`vidrep finetune --folds`: what it prints, and when it is proposed."""

import re
from pathlib import Path

import pytest
from running import one_line, vidrep
from small_features import circles, features_of

TINY = ["--no-auto", "--steps", 2, "--batch-size", 4, "--set", "encoder.hidden_size=5", "--set", "windows.length=4"]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return features_of(tmp_path_factory.mktemp("folds"), circles(6)).path


def test_folds_print_figures_baselines_and_a_verdict(tmp_path: Path, features: Path) -> None:
    code, stdout, stderr = vidrep("finetune", features, "-o", tmp_path / "run", "--folds", 2, *TINY)
    assert code == 0, stderr
    assert "fold 2 of 2: 6 videos train, 6 test" in stderr
    lines = stdout.splitlines()
    assert lines[1].endswith("; the folds, below, show how good such classifiers are")
    assert re.match(
        r"^2 folds, per video +accuracy +95 % interval +balanced +what predicts better by +95 % inter", lines[2]
    )
    share = r"\d\.\d{3}"
    assert re.fullmatch(rf"what predicts +{share} +{share} to {share} +{share}", lines[3])
    assert [line.split("  ")[0] for line in lines[4:8]] == [
        "majority class",
        "single frame",
        "mean feature",
        "ordered bins",
    ]
    assert re.fullmatch(rf"what predicts: LSTM in 2 of the folds; fold by fold: {share}, {share}", lines[8])
    assert re.match(rf"^{share} \({share} to {share}\) of 12 videos in 12 groups are right, each tested once", lines[9])
    one_line(
        ["finetune", features, "-o", tmp_path / "no", "--folds", 7, *TINY], 3, "left in 6, right in 6; give 6 folds"
    )
    assert not (tmp_path / "no").exists()
    one_line(
        ["finetune", features, "-o", tmp_path / "no", "--group", "x", "--group-blocks", 2, *TINY],
        2,
        "groups by a pattern (--group) and by blocks (--group-blocks): give one of the two",
    )


def test_too_few_test_videos_are_said_and_folds_proposed(tmp_path: Path, features: Path) -> None:
    options = ["--group-blocks", 2, *TINY]
    code, stdout, stderr = vidrep("finetune", features, "-o", tmp_path / "run", *options)
    assert code == 0, stderr
    last = stdout.splitlines()[-1]
    assert last.startswith(
        "Too few videos to measure some classes on (fewer than 3): left 2, right 2. To test every labeled video once: "
        f"`vidrep finetune {features} -o {tmp_path / 'run-folds'} --group-blocks 2 --no-auto "
    )
    assert last.endswith(" --folds 3`")
    code, stdout, stderr = vidrep("evaluate", tmp_path / "run", features)
    assert code == 0, stderr
    assert re.search(r"^LSTM, per video +\d\.\d{3} +- +\d\.\d{3}$", stdout, re.M)
    lines = stdout.splitlines()
    place = lines.index("no intervals: the videos are in 2 groups, and fewer than 5 show too little")
    assert lines[place : place + 2] == [
        "no intervals: the videos are in 2 groups, and fewer than 5 show too little",
        "Too few videos to measure some classes on (fewer than 3): left 2, right 2. `finetune` with --folds tests "
        "every labeled video once.",
    ]
    code, _, stderr = vidrep("finetune", features, "-o", tmp_path / "new", "--folds", 3, *options)
    assert code == 0, stderr
