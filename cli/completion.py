"""What the shell completes: names that can be listed without importing anything heavy."""

import os
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import typer

# As in vidrep.devices, which imports torch.
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "tf32", "bf16")
EXTRACTION_PRECISIONS = ("auto", "fp32", "bf16")

_RUN_FILE = "model.json"
_MODEL = re.compile(r"^@register_model\(\)\n(?:@.*\n)*def (\w+)", re.MULTILINE)
_KINDS = {"train": "pretrain", "finetune": "finetune"}


def one_of(*names: str) -> Callable[[str], list[str]]:
    """Return what completes these names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def recipes(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the shipped recipes of the command's kind; files, where none begins so."""
    from vidrep.config.reader import recipe_names

    return [name for name in recipe_names(_KINDS[str(context.command.name)]) if name.startswith(incomplete)]


def splits(incomplete: str) -> list[str]:
    """Complete the names that a split can have."""
    from vidrep.features.annotations import SPLITS

    return one_of(*SPLITS)(incomplete)


def run_folders(incomplete: str) -> list[str]:
    """Complete run folders, and those one folder further down; other paths, where there are none."""
    folder, start = os.path.split(incomplete)
    return sorted(_run_folders(Path(folder), folder, start))


def _run_folders(folder: Path, prefix: str, start: str, *, further: int = 1) -> Iterator[str]:
    for entry in _folders(folder):
        if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
            name = os.path.join(prefix, entry.name)  # noqa: PTH118 - what is typed stays: Path drops "./"
            if (entry / _RUN_FILE).is_file():
                yield name
            elif further:
                yield from _run_folders(entry, name, "", further=further - 1)


def _folders(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    except OSError:  # missing, or not to be read: nothing to complete
        return []


def models(incomplete: str) -> list[str]:
    """Complete torchvision's classification models, read from its source: importing it takes seconds."""
    spec = find_spec("torchvision")
    folder = Path(spec.origin or "").parent / "models" if spec else Path()
    sources = (file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
    names = (name for source in sources for name in _MODEL.findall(source))
    return sorted(name for name in names if name.startswith(incomplete))
