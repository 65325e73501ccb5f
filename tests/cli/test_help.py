"""Help: every option has a text and a heading, and it comes without heavy imports."""

import subprocess
import sys
import time
from typing import Any

import pytest
from running import all_commands, vidrep
from typer.main import get_command

import vidrep as library
from vidrep_cli.main import app


def command_of(words: tuple[str, ...]) -> Any:
    command: Any = get_command(app)
    for word in words:
        command = command.commands[word]
    return command


def test_every_command_has_help_and_every_option_a_text() -> None:
    commands = all_commands()
    assert len(commands) == 21
    for words in commands:
        code, stdout, _ = vidrep(*words, "--help")
        assert code == 0
        assert stdout.startswith("Usage: ")
        assert vidrep(*words, "-h")[:2] == (0, stdout)
        command = command_of(words)
        assert command.help, words
        for parameter in command.params:
            assert parameter.help and parameter.help.endswith("."), (words, parameter.name)


def test_every_option_but_those_of_groups_has_a_heading() -> None:
    options = [
        (words, option)
        for words in all_commands()
        if not hasattr(command_of(words), "commands")
        for option in command_of(words).params
        if option.param_type_name == "option"
    ]
    assert len(options) > 100
    for words, option in options:
        assert option.rich_help_panel, (words, option.name)


def test_help_lists_options_under_headings_in_one_order() -> None:
    headings = [line for line in vidrep("extract", "cnn", "--help")[1].splitlines() if line.endswith(":")]
    assert [line.strip() for line in headings if not line.startswith("  ")] == [
        "Arguments:",
        "Input:",
        "Sampling:",
        "Features:",
        "Labels and splits:",
        "Output:",
        "Speed:",
        "Other:",
    ]
    lines = vidrep("train", "--help")[1].splitlines()
    training = lines[lines.index("Training:") + 1 : lines.index("Output:")]
    options = [line.split()[0] for line in training if line.startswith("  -")]
    assert options == ["--recipe", "--set", "--steps", "--batch-size", "--seed", "--ensemble"]
    texts = ("A shipped recipe", "The run folder", "Threads", "auto, cpu")
    assert len({line.index(text) for line in lines for text in texts if text in line}) == 1


def test_commands_are_in_the_order_of_use_with_whole_sentences() -> None:
    lines = vidrep("--help")[1].splitlines()
    listed = lines[lines.index("Commands:") + 1 : lines.index("Other:") - 1]
    names = [line.split()[0] for line in listed if not line.startswith("   ")]
    assert names == [
        "extract",
        "import",
        "export-features",
        "check",
        "annotations",
        "train",
        "finetune",
        "evaluate",
        "compare",
        "study",
        "predict",
        "symbols",
        "info",
        "recipes",
        "sample",
        "demo",
        "reproduce",
    ]
    assert "..." not in "".join(listed)


@pytest.mark.parametrize("words", [(), ("extract", "cnn"), ("evaluate",)], ids=" ".join)
def test_help_imports_nothing_heavy_and_is_quick(words: tuple[str, ...]) -> None:
    heavy = ("torch", "numpy", "cv2", "av", "h5py", "torchvision", "sklearn", "rich", "pydantic")
    code = (
        "import sys\nfrom vidrep_cli.main import app\n"
        "try:\n    app(sys.argv[1:])\n"
        f"finally:\n    print('imported', [name for name in {heavy} if name in sys.modules])"
    )
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, timeout=60
        )
        seconds.append(time.perf_counter() - began)
        assert done.stdout.splitlines()[-1] == "imported []", done.stderr
    assert min(seconds) < 2  # on a busy machine; benchmarks/help_time.py measures it


def test_version() -> None:
    assert vidrep("--version")[:2] == vidrep("-V")[:2] == (0, f"vidrep {library.__version__}\n")
