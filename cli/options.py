"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary; warnings and errors only.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads to compute with.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Precision = Annotated[
    str,
    typer.Option("--precision", help="Of matrix products: auto (bf16 where it is native), fp32, tf32 (CUDA) or bf16."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the run's checkpoint.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="CSV with the columns video,label[,split], laid over what is there.")
]
Splits = Annotated[
    Path | None,
    typer.Option("--splits", help="UCF-101 lists: a folder with trainlist01.txt, testlist01.txt and classInd.txt."),
]
SplitNumber = Annotated[int, typer.Option("--split-number", min=1, help="Which of several lists in --splits.")]
Recipe = Annotated[str | None, typer.Option("--recipe", help="A shipped recipe's name, or a TOML file.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the recipe, such as model.hidden_size=1024."),
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps; short for --set training.steps=N.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=1, help="Windows a step; training.batch_size.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Of weights, order and dropout; training.seed.")]
Features = Annotated[
    Path, typer.Argument(help="A feature file, or a folder of parts.", show_default=False, metavar="FEATURES")
]


def recipe_changes(
    settings: Sequence[str] | None, *, steps: int | None, batch_size: int | None, seed: int | None
) -> dict[str, Any]:
    """Collect what --set and its short forms change in a recipe."""
    from vidrep.config import parse_change
    from vidrep.errors import ConfigError

    changes = dict(parse_change(text) for text in settings or [])
    short = {"steps": steps, "batch_size": batch_size, "seed": seed}
    for name, value in short.items():
        if value is None:
            continue
        if f"training.{name}" in changes:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} {value} and --set training.{name}=...: give one of the two")
        changes[f"training.{name}"] = value
    return changes
