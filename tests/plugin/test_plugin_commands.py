"""The commands with a plug-in that `--plugin` names by its file, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).with_name("toy_plugin.py")
CLIPS = Path(__file__).parents[2] / "data" / "clips"


def vidrep(*arguments: object) -> str:
    """Run a command with the plug-in; return what it printed."""
    command = [sys.executable, "-m", "vidrep_cli", *map(str, arguments), "--plugin", str(PLUGIN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_extract_train_finetune_predict_and_info(tmp_path: Path) -> None:
    features, pretrained, actions = tmp_path / "f.h5", tmp_path / "pretrained", tmp_path / "actions"
    quick = ("--steps", 3, "--threads", 1, "--device", "cpu", "--set", "encoder.hidden_size=6")
    printed = vidrep(
        "extract", "brightness", CLIPS, "-o", features, "--set", "size=2", "--labels", CLIPS / "labels.csv"
    )
    assert "32 videos" in printed
    chosen = ("--set", "encoder.cell=leaky", "--set", "cell.leaky.leak=0.3", "--set", 'objectives=["halves"]')
    printed = vidrep("train", features, "-o", pretrained, *quick, *chosen)
    assert "halves, validation loss" in printed
    head = ("--no-auto", "--set", "classifier.head=largest")
    vidrep("finetune", features, "--from", pretrained, "-o", actions, *quick, *head)
    clip = next((CLIPS / "up").iterdir())
    assert vidrep("predict", actions, clip).startswith(f"{clip}: ")
    assert "cell.leaky.leak" in vidrep("info", actions)
