"""Every command line that a command prints works as it is printed."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from running import vidrep

from vidrep_cli.origin import changed_output

CLIPS = Path(__file__).parents[2] / "data" / "clips"
TINY = ["--no-auto", "--steps", 2, "--set", "encoder.hidden_size=4", "--threads", 1]


def printed(*arguments: object) -> tuple[list[str], str]:
    """Run a command; return the command lines that it prints, and all that it prints."""
    code, stdout, stderr = vidrep(*arguments)
    assert code == 0, stderr
    return re.findall(r"`vidrep ([^`]+)`", stdout + stderr), stdout + stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: clips of two classes, which a list names, with blanks in all names, and their features."""
    monkeypatch.chdir(tmp_path)
    keys = [f"{name}/{name}-000{number}.mp4" for name in ("left", "right") for number in (1, 2, 3, 4)]
    for key in keys:
        (tmp_path / "my clips" / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CLIPS / key, tmp_path / "my clips" / key)
    lines = [f"{key},{key.split('/')[0]}" for key in keys[:-1]]
    (tmp_path / "my labels.csv").write_text("\n".join(["video,label", *lines]) + "\n")
    extract: list[object] = ["extract", "patches", "my clips", "-o", "my features.h5", "--size", 4, "--workers", 0]
    assert printed(*extract)[0] == []
    return tmp_path


def test_command_lines_work_as_printed(folder: Path) -> None:
    train: list[object] = ["train", "my features.h5", "-o", "my pretrained", "--recipe", "demo-pretrain", *TINY[1:]]
    commands, output = printed(*train, "--labels", "my labels.csv")
    assert "7 videos, 6 of them labeled" in output
    finetune: list[object] = ["finetune", "my features.h5", "--output", "my run", "--overwrite", *TINY]
    more, output = printed(*finetune, "--labels", "my labels.csv")
    assert "1 videos are not listed: right/right-0004.mp4; 1 of them have no label now (--labels-extend " in output
    commands += more
    commands += printed("predict", "my run", "my clips", "my clips/left/left-0001.mp4")[0]
    assert [command.split()[0] for command in commands] == ["evaluate", "finetune"]
    for command in commands:
        _, output = printed(*shlex.split(command))
        assert "other labels" not in output
    assert (folder / "my run-folds" / "folds").is_dir()


def test_evaluate_takes_the_list_of_the_run_and_says_which_labels_are_others(folder: Path) -> None:
    printed("finetune", "my features.h5", "-o", "run", "--labels", "my labels.csv", *TINY)
    evaluate: list[object] = ["evaluate", "run", "my features.h5", "--split", "train"]
    rows = (folder / "run" / "videos.csv").read_text().splitlines()
    trained = next(row.split(",")[0] for row in rows if ",left,train," in row)
    with_splits = ["video,label,split", *(",".join(row.split(",")[:3]) for row in rows[1:])]
    (folder / "my labels.csv").write_text("\n".join(with_splits).replace(f"{trained},left", f"{trained},right") + "\n")
    output = printed(*evaluate)[1]
    assert (
        "labels are those that the run was trained with, --labels 'my labels.csv', as they are now; --labels gives "
        "others\n"
    ) in output
    assert f"warning: 1 videos have other labels than those that the run learned: {trained} (left, now right)" in output
    assert "are those that the run was trained with" not in printed(*evaluate, "--labels", "my labels.csv")[1]
    comparison = printed("compare", "run", "run", "my features.h5", "--split", "test")[1]
    assert "labels are those that the run was trained with" in comparison
    (folder / "my labels.csv").unlink()
    output = printed(*evaluate[:-2])[1]
    assert (
        "warning: the run was trained with --labels 'my labels.csv', and without it this is measured: 'my labels.csv' "
        "does not exist"
    ) in output
    (folder / "my labels.csv").write_text("video,label\nz.mp4,left\n")
    assert "without it this is measured: none of the 1 annotated videos is among the 8" in printed(*evaluate[:-2])[1]


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_paths_are_printed_as_they_were_given(folder: Path) -> None:
    (folder / "link.h5").symlink_to("my features.h5")
    output = printed("extract", "patches", "my clips", "-o", "link.h5", "--size", 4, "--workers", 0)[1]
    assert "link.h5: 8 videos, " in output and str(folder) not in output


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("vidrep finetune f.h5 -o r", "vidrep finetune f.h5 -o 'new r' --folds 3"),
        ("vidrep finetune --output r f.h5 --overwrite", "vidrep finetune --output 'new r' f.h5 --folds 3"),
        ("vidrep finetune --output='a b' f.h5", "vidrep finetune -o 'new r' f.h5 --folds 3"),
        ("vidrep finetune -oa f.h5", "vidrep finetune -o 'new r' f.h5 --folds 3"),
    ],
)
def test_the_output_of_a_command_line_is_changed(command: str, expected: str) -> None:
    assert changed_output(command, "new r", "--folds", 3) == expected
