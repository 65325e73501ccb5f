"""`vidrep demo`: the whole path, on sample videos, each step as the command line that does the same."""

import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .help import input_option, output_option, training_option
from .layout import duration, fields
from .options import Details, Threads
from .tables import classification_report

if TYPE_CHECKING:
    from vidrep.evaluation.classification import ClassificationEvaluation

# What a demo folder holds; a folder that holds anything else is never removed.
_CONTENTS = frozenset({"clips", "features.h5", "features.h5.parts", "features.failures.csv", "pretrained", "actions"})


_DETAILS = (
    "Nats: how improbable the true frame is to the model, the entropy floor is the least that is possible. SSIM and "
    "PSNR: how alike two pictures are, higher is better. Zeros: black frames."
)
_ACCURACIES = (
    "Accuracy: the share of videos, or of windows of them, whose motion is named rightly, with its 95 % interval; "
    "balanced: the mean over the motions. Chance is 0.125."
)


def demo_command(
    context: typer.Context,
    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="A new folder for all that it makes.")
    ] = Path("demo"),
    videos_per_class: Annotated[int, input_option("--per-class", min=8, help="Sample videos of each motion.")] = 400,
    steps: Annotated[
        int | None, training_option("--steps", min=1, help="Optimizer steps of each training; default: its recipe's.")
    ] = None,
    threads: Threads = None,
    details: Details = False,
    overwrite: Annotated[bool, output_option("--overwrite", help="Replace an earlier demo.")] = False,
) -> None:
    """Run the whole path on sample videos.

    That is: sample, extract, train, finetune, evaluate, predict; the demo prints each as a command line.
    """
    began = time.monotonic()
    _clear(output, overwrite=overwrite)
    in_order, shuffled = _Demo(context, output, threads, details).run(videos_per_class, steps)
    typer.echo(f"\nDone in {duration(time.monotonic() - began)}. Accuracy on {in_order.num_videos} videos:")
    accuracies = {"LSTM": in_order.per_video, "LSTM, frames shuffled": shuffled.per_video, **in_order.baselines}
    typer.echo(fields({name: f"{accuracy.accuracy:.3f}" for name, accuracy in accuracies.items()}))
    typer.echo(f"Everything is in {output}; the next step is a folder of your own videos.")


def _clear(output: Path, *, overwrite: bool) -> None:
    """Make way for a demo; this removes only what an earlier demo made."""
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


@dataclass(frozen=True)
class _Demo:
    """The steps of a demo: each prints its command line, and runs it in this process."""

    context: typer.Context
    output: Path
    threads: int | None
    details: bool

    def run(
        self, videos_per_class: int, steps: int | None
    ) -> "tuple[ClassificationEvaluation, ClassificationEvaluation]":
        """Run all steps; return the evaluation with frames in order, and with frames shuffled."""
        clips, features = self.output / "clips", self.output / "features.h5"
        pretrained, actions = self.output / "pretrained", self.output / "actions"
        training = [*(["--steps", steps] if steps else []), *self._threads_option]

        typer.echo("Eight motions, made as video files; single frames of them are alike, only their order differs.")
        self._run("sample", "-o", clips, "--per-class", videos_per_class, "--test-fraction", 0.1)
        labels = ["--labels", clips / "labels.csv"]
        self._run("extract", "patches", clips, "-o", features, "--size", 16, *labels, *self._threads_option)
        typer.echo("\nWithout labels: read 12 frames, reconstruct them, predict the next 8.")
        details = ["--details"] if self.details else []
        self._run("train", features, "-o", pretrained, "--recipe", "demo-pretrain", *training, *details)
        if self.details:
            typer.echo(_DETAILS)
        typer.echo("\nWith labels: the encoder becomes a classifier.")
        self._run("finetune", features, "--from", pretrained, "-o", actions, "--recipe", "demo-finetune", *training)
        typer.echo("\nOn videos that it did not train on:")
        in_order = self._evaluate(actions, features)
        typer.echo(_ACCURACIES)
        typer.echo("\nThe same classifier on the same videos, their frames in shuffled order:")
        shuffled = self._evaluate(actions, features, shuffle_frames=True)
        typer.echo("\nOne new video file of each of two classes:")
        examples = sorted((clips / "left").iterdir())[-1], sorted((clips / "clockwise").iterdir())[-1]
        self._run("predict", actions, *examples, "--quiet", *self._threads_option)
        return in_order, shuffled

    @property
    def _threads_option(self) -> list[object]:
        return ["--threads", self.threads] if self.threads else []

    def _run(self, *arguments: object) -> None:
        application = self.context.find_root().command
        if code := application.main(_show(*arguments), standalone_mode=False):
            raise typer.Exit(code)

    def _evaluate(self, run: Path, features: Path, *, shuffle_frames: bool = False) -> "ClassificationEvaluation":
        """Show an evaluation as a command, and run it by the library, for its metrics."""
        from vidrep.evaluation.classification import ClassificationEvaluation
        from vidrep.evaluation.evaluate import evaluate
        from vidrep.features.store import open_features

        options = ["--shuffle-frames"] if shuffle_frames else []
        _show("evaluate", run, features, *options, *self._threads_option)
        result = evaluate(run, open_features(features), shuffle_frames=shuffle_frames, threads=self.threads)
        assert isinstance(result, ClassificationEvaluation)
        typer.echo(classification_report(result))
        return result


def _show(*arguments: object) -> list[str]:
    """Print a command line; return its arguments."""
    words = [str(argument) for argument in arguments]
    typer.echo(f"\n$ vidrep {shlex.join(words)}")
    return words
