"""Shell completion, by the protocol of bash: a process with the words in its environment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vidrep.config.reader import recipe_names
from vidrep_cli import completion

VIDREP = Path(sys.executable).with_name("vidrep")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="bash")


def completed(*words: str, folder: Path | None = None) -> list[str]:
    """Return what bash offers for the last of these words."""
    protocol = {
        "_VIDREP_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("vidrep", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [VIDREP], env=os.environ | protocol, cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_and_options() -> None:
    assert completed("tr") == ["train"]
    assert completed("extract", "") == ["patches", "cnn", "moving-mnist"]
    assert completed("finetune", "--fr") == ["--from", "--freeze"]


def test_recipes_of_the_right_kind() -> None:
    assert "demo-pretrain" in recipe_names("pretrain")
    assert completed("train", "f.h5", "--recipe", "") == recipe_names("pretrain")
    assert completed("finetune", "f.h5", "--recipe", "demo") == ["demo-finetune"]
    assert completed("train", "f.h5", "--recipe", "my/own") == []  # bash goes on with files


def test_names_that_options_take() -> None:
    assert completed("train", "f.h5", "--device", "c") == ["cpu", "cuda"]
    assert completed("train", "f.h5", "--precision", "") == ["auto", "fp32", "tf32", "bf16"]
    assert completed("extract", "cnn", "--precision", "") == ["auto", "fp32", "bf16"]
    assert completed("evaluate", "run", "--split", "t") == ["train", "test"]
    assert completed("extract", "cnn", "--model", "resnet1") == ["resnet101", "resnet152", "resnet18"]


def test_run_folders(tmp_path: Path) -> None:
    for name in ("runs/one", "runs/two", "runs/.hidden", "deep/er/three", "rest"):
        (tmp_path / name).mkdir(parents=True)
        if name != "rest":
            (tmp_path / name / "model.json").touch()
    assert completed("predict", "r", folder=tmp_path) == ["runs/one", "runs/two"]
    assert completed("evaluate", "runs/t", folder=tmp_path) == ["runs/two"]
    assert completed("info", "./r", folder=tmp_path) == ["./runs/one", "./runs/two"]
    assert completed("finetune", "f.h5", "--from", f"{tmp_path}/deep/") == [f"{tmp_path}/deep/er/three"]
    assert completed("predict", "nowhere/", folder=tmp_path) == []


def test_names_agree_with_those_of_the_library() -> None:
    from torchvision import models

    from vidrep import devices

    assert completion.DEVICES == devices.DEVICES
    assert completion.PRECISIONS == devices.PRECISIONS
    assert completion.EXTRACTION_PRECISIONS == devices.EXTRACTION_PRECISIONS
    assert completion.models("") == models.list_models(module=models)


def test_completion_is_installed_for_bash(tmp_path: Path) -> None:
    """As from a shell: completion asks its parent process which one it is."""
    environment = os.environ | {"HOME": str(tmp_path)}
    shell = ["bash", "-c", f"{VIDREP} --show-completion; {VIDREP} --install-completion; exit $?"]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^complete -o default -F \w+ vidrep$", done.stdout, flags=re.MULTILINE)
    assert "vidrep" in (tmp_path / ".bashrc").read_text()
