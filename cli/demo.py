"""`vidrep demo`: the whole path, on sample videos, each step as the command line that does the same."""

import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .evaluate import classification_report
from .options import Threads

if TYPE_CHECKING:
    from vidrep.evaluation.evaluate import ClassificationEvaluation

# What a demo folder holds; a folder that holds anything else is never removed.
_CONTENTS = frozenset({"clips", "features.h5", "features.h5.parts", "features.failures.csv", "pretrained", "actions"})


def demo_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for all that it makes.")] = Path("demo"),
    videos_per_class: Annotated[int, typer.Option("--per-class", min=8, help="Sample videos of each motion.")] = 400,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Optimizer steps of both trainings; default: their recipes'.")
    ] = None,
    threads: Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier demo.")] = False,
) -> None:
    """Run the whole path on sample videos: sample, extract, train, finetune, evaluate, predict."""
    began = time.monotonic()
    _clear(output, overwrite=overwrite)
    clips, features = output / "clips", output / "features.h5"
    pretrained, actions = output / "pretrained", output / "actions"
    cores = _threads_option(threads)
    training = [*(["--steps", steps] if steps else []), *cores]

    typer.echo("Eight motions, made as video files; no single frame tells which one it is, only their order does.")
    _run("sample", "-o", clips, "--per-class", videos_per_class, "--test-fraction", 0.1)
    _run("extract", "patches", clips, "-o", features, "--size", 16, "--labels", clips / "labels.csv", *cores)
    typer.echo("\nWithout labels: read 12 frames, give them back, predict the next 8.")
    _run("train", features, "-o", pretrained, "--recipe", "demo-pretrain", *training)
    typer.echo("\nWith labels: the encoder becomes a classifier.")
    _run("finetune", features, "--from", pretrained, "-o", actions, "--recipe", "demo-finetune", *training)
    typer.echo("\nOn videos that it did not train on:")
    in_order = _evaluate(actions, features, threads=threads)
    typer.echo("\nThe same classifier on the same videos, their frames in shuffled order:")
    shuffled = _evaluate(actions, features, threads=threads, shuffle_frames=True)
    typer.echo("\nOne new video file of each of two classes:")
    examples = sorted((clips / "left").iterdir())[-1], sorted((clips / "clockwise").iterdir())[-1]
    _run("predict", actions, *examples, "--quiet", *cores)

    typer.echo(f"\nDone in {console.duration(time.monotonic() - began)}. Accuracy on {in_order.num_videos} videos:")
    accuracies = {"LSTM": in_order.per_video, "LSTM, frames shuffled": shuffled.per_video, **in_order.baselines}
    typer.echo(console.fields({name: f"{accuracy.accuracy:.3f}" for name, accuracy in accuracies.items()}))
    typer.echo(f"Everything is in {output}; the next step is a folder of your own videos.")


def _clear(output: Path, *, overwrite: bool) -> None:
    """Make room for a demo; only what an earlier demo left is ever removed."""
    from vidrep.errors import OutputError

    if not output.exists():
        return
    strange = (
        [entry.name for entry in output.iterdir() if entry.name not in _CONTENTS] if output.is_dir() else ["a file"]
    )
    if strange:
        raise OutputError(f"{output} holds {strange[0]}, which no demo has made; give another folder with -o")
    if not overwrite:
        raise OutputError(f"{output} exists; give another folder with -o, or --overwrite")
    shutil.rmtree(output)


def _show(*arguments: object) -> list[str]:
    """Print a command line; return its arguments."""
    words = [str(argument) for argument in arguments]
    typer.echo(f"\n$ vidrep {shlex.join(words)}")
    return words


def _run(*arguments: object) -> None:
    """Print a command line and run it, in this process."""
    from .main import app

    code = app(_show(*arguments), standalone_mode=False)
    if code:
        raise typer.Exit(code)


def _evaluate(
    run: Path, features: Path, *, threads: int | None, shuffle_frames: bool = False
) -> "ClassificationEvaluation":
    """Print and run an evaluation, and return its figures."""
    from vidrep.evaluation.evaluate import ClassificationEvaluation, evaluate
    from vidrep.features.store import open_features

    options = ["--shuffle-frames"] if shuffle_frames else []
    _show("evaluate", run, features, *options, *_threads_option(threads))
    result = evaluate(run, open_features(features), shuffle_frames=shuffle_frames, threads=threads)
    assert isinstance(result, ClassificationEvaluation)
    typer.echo(classification_report(result))
    return result


def _threads_option(threads: int | None) -> list[object]:
    return ["--threads", threads] if threads else []
