"""The tables of Srivastava, Mansimov and Salakhutdinov 2015 that a machine allows: Moving MNIST, and image patches.

Each row is a training of its own: a variant of the model, by a recipe. On a CPU the recipes are made small.
"""

import hashlib
import logging
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from ..config.reader import load_recipe, to_mapping
from ..config.settings import PretrainConfig
from ..devices import choose_device
from ..errors import InputError, Stopped
from ..extraction.extract import extract
from ..extraction.extractors.patches import PatchExtractor
from ..features.annotation_files import read_annotations
from ..features.checksum import content_digest
from ..features.store import Features, open_features, opened
from ..files import write_text
from ..machine import processor_name
from ..progress import Progress, ProgressListener, ignore_progress
from ..synthetic.mnist import load_digits
from ..synthetic.samples import SampleConfig, write_samples
from ..training.history import Origin, read_history
from ..training.loop import never
from ..training.pretrain import PretrainResult, train
from ..training.run import RunFolder
from ..video.sources import find_videos
from .evaluate import evaluate
from .kept_results import KeptResults
from .paper_figures import MODELS, PaperModel
from .prediction import PredictionEvaluation
from .reproduction_tables import Measured, Row, tables

_log = logging.getLogger(__name__)

TABLES_NAME = "tables.md"
_RUN, _GENERATED = "run", "generated-patches"
_TEST_SEED = 1
_NUM_SEQUENCES = {False: 500, True: 10_000}

_SMALL: dict[str, Any] = {
    "encoder.hidden_size": 256,
    "encoder.num_layers": 1,
    "training.batch_size": 32,
    "training.validation_fraction": 0.02,
    "training.patience": 0,
}
# Of AdamW, which has few steps and narrow layers.
_SMALL_OPTIMIZER = {"optimizer.learning_rate": 3e-3, "optimizer.warmup_steps": 50}
_SMALL_STEPS = {"moving-mnist": 500, "patches": 300}
# The released configs go on for 10,000,000 steps, long after their learning rate has come to nothing.
_RELEASED_STEPS = {"training.steps": 100_000, "training.validate_every": 1_000}
_PATCH_SHAPE = (32, 32, 3)
_STAND_IN = SampleConfig(num_frames=40)
_CONDITIONAL_BOTH = MODELS[-1]

Table = Literal["moving-mnist", "patches"]


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What was made: the folder, the rows of the tables, and the tables as Markdown, as in its tables.md."""

    folder: Path
    rows: list[Row]
    tables: str


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A training and its row: the table, the variant of the model, and the recipe with its settings."""

    table: Table
    model: PaperModel
    recipe: str
    config: PretrainConfig

    @property
    def name(self) -> str:
        """What its folder is called."""
        return re.sub(r"\W+", "-", f"{self.table} {self.model.name} {self.recipe}").strip("-")


def reproduce(
    output: Path | str,
    *,
    mnist: Path | str,
    patches: Features | Path | str | None = None,
    whole: bool | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    should_stop: Callable[[], bool] = never,
    on_progress: ProgressListener = ignore_progress,
    origin: Origin | None = None,
) -> Reproduction:
    """Make the paper's tables into the folder `output`; what an earlier call with these settings finished is kept.

    mnist: a folder with the files of MNIST. patches: features of `extract patches --size 32 --rgb` with a split "test";
        without them the small tables have patches of generated clips, and the whole ones leave patches out.
    whole: train the recipes as they are, for hours on a GPU, and measure 10,000 sequences; otherwise make them small;
        None: where the device is CUDA. steps: of each training, in place of that.
    seed: of the trainings. device, threads, should_stop, on_progress, origin: see `train`; progress counts the steps of
        all trainings.

    Raises InputError for other patches and for some without a test split, OutputError for a folder with other settings,
    and what `train` and `evaluate` raise; Stopped keeps what is finished and a checkpoint of what is not.
    """
    chosen = choose_device(device)
    whole = chosen.type == "cuda" if whole is None else whole
    given = None if patches is None else _tested(opened(patches))
    parts = _plan(whole=whole, steps=steps, seed=seed, with_patches=not whole or given is not None)
    settings = {
        "whole": whole,
        "mnist": hashlib.sha256(load_digits(Path(mnist), "test").tobytes()).hexdigest(),
        "patches": "generated" if given is None else content_digest(row.checksum for row in given.videos),
        "parts": {part.name: to_mapping(part.config) for part in parts},
    }
    training: dict[str, Any] = {"device": device, "threads": threads, "should_stop": should_stop, "origin": origin}
    with KeptResults.opened(Path(output), settings) as kept:
        features = given
        if given is None and not whole:
            kept.result(_GENERATED, _generate_patches)
            features = open_features(kept.part(_GENERATED) / "patches.h5")
        listeners = _listeners(parts, on_progress)
        rows = []
        for number, (part, listener) in enumerate(zip(parts, listeners, strict=True), start=1):
            _log.info("%d of %d: %s", number, len(parts), part.name)
            source: dict[str, Any] = {"mnist": mnist} if part.table == "moving-mnist" else {"features": features}
            make = partial(_make, part, source, whole=whole, training=training | {"on_progress": listener})
            rows.append(_row(part, kept.result(part.name, make)))
            shutil.rmtree(kept.part(part.name) / _RUN / "checkpoints", ignore_errors=True)
        text = tables(rows, whole=whole, stand_in=given is None)
        write_text(kept.folder / TABLES_NAME, text)
    return Reproduction(folder=Path(output), rows=rows, tables=text)


def _tested(features: Features) -> Features:
    """Return features; raises InputError if they are no patches like the paper's, or none of them is for testing."""
    if (features.dtype, features.frame_shape) != ("uint8", _PATCH_SHAPE):
        raise InputError(
            f"{features.path}: frames of {features.frame_shape} {features.dtype}, expected RGB patches, {_PATCH_SHAPE} "
            "uint8; make them with `vidrep extract patches --size 32 --rgb`"
        )
    if all(row.split != "test" for row in features.videos):
        raise InputError(
            f"{features.path}: no video has the split 'test', on which patches are measured; extract them with "
            "--labels or --splits"
        )
    return features


# ---- what is trained


def _plan(*, whole: bool, steps: int | None, seed: int, with_patches: bool) -> list[_Part]:
    """Return all trainings in the order of the tables."""
    wanted: list[tuple[Table, PaperModel, str]] = [
        ("moving-mnist", model, recipe)
        for recipe in (("modern-mnist-2layer", "srivastava-mnist-2layer") if whole else ("modern-mnist-small",))
        for model in MODELS
    ]
    released = ("released-mnist-1layer", "released-mnist-2layer") if whole else ("released-mnist-1layer",)
    wanted += [("moving-mnist", _CONDITIONAL_BOTH, recipe) for recipe in released]
    if with_patches:
        wanted += [
            ("patches", model, recipe)
            for recipe in (("modern-patches", "srivastava-patches") if whole else ("modern-patches",))
            for model in MODELS
            if model.patches is not None
        ]
        wanted.append(("patches", _CONDITIONAL_BOTH, "released-patches"))
    return [
        _Part(
            table=table,
            model=model,
            recipe=recipe,
            config=_config(table, model, recipe, whole=whole, steps=steps, seed=seed),
        )
        for table, model, recipe in wanted
    ]


def _config(
    table: Table, model: PaperModel, recipe: str, *, whole: bool, steps: int | None, seed: int
) -> PretrainConfig:
    changes: dict[str, Any] = {"objectives": list(model.conditional), "training.seed": seed}
    changes |= {f"objective.{name}.conditional": value for name, value in model.conditional.items()}
    if "future" not in model.conditional:
        changes["windows.num_future"] = 0
    if whole:
        changes |= _RELEASED_STEPS if recipe.startswith("released-mnist") else {}
    else:
        changes |= _SMALL | {"training.steps": _SMALL_STEPS[table]}
        changes |= _SMALL_OPTIMIZER if recipe.startswith("modern-") else {}
    if steps is not None:
        changes["training.steps"] = steps
    if not whole or steps is not None:
        changes["training.validate_every"] = changes["training.steps"]
    return load_recipe(PretrainConfig, recipe, changes=changes)


def _generate_patches(folder: Path) -> dict[str, Any]:
    """Write patches.h5: of generated clips, the last quarter of each motion for testing."""
    clips, output = folder / "clips", folder / "patches.h5"
    shutil.rmtree(clips, ignore_errors=True)  # of a call that was killed
    write_samples(clips, _STAND_IN)
    annotations = read_annotations(labels=clips / "labels.csv")
    extract(
        find_videos([clips]),
        output,
        PatchExtractor(size=_PATCH_SHAPE[0], color=True),
        annotations=annotations,
        workers=0,
    )
    shutil.rmtree(clips)
    return {"clips": asdict(_STAND_IN)}


# ---- training and measuring


def _listeners(parts: Sequence[_Part], on_progress: ProgressListener) -> Iterator[ProgressListener]:
    """Yield a listener for each part, which reports the steps of all parts together."""
    total = sum(part.config.training.steps for part in parts)
    done = 0
    for part in parts:

        def listen(progress: Progress, before: int = done) -> None:
            if progress.unit == "steps":
                on_progress(Progress(done=before + progress.done, total=total, unit="steps", metrics=progress.metrics))

        yield listen
        done += part.config.training.steps


def _make(
    part: _Part, source: Mapping[str, Any], folder: Path, *, whole: bool, training: Mapping[str, Any]
) -> dict[str, Any]:
    """Train a part, or go on with it, and measure it; return its result."""
    began, worked, run = time.monotonic(), time.process_time(), folder / _RUN
    resume = RunFolder(run).has_begun()
    try:
        trained = train(source.get("features"), run, part.config, mnist=source.get("mnist"), resume=resume, **training)
    except Stopped as stopped:
        raise Stopped(f"stopped in {part.name}; the same command goes on from there") from stopped
    test = {"num_sequences": _NUM_SEQUENCES[whole], "seed": _TEST_SEED} if "mnist" in source else {"split": "test"}
    computing = {name: training[name] for name in ("device", "threads")}
    found = evaluate(run, **source, **test, **computing)
    assert isinstance(found, PredictionEvaluation)
    return {
        "num_windows": found.metrics.num_windows,
        "errors": _errors(found, "nats" if part.table == "moving-mnist" else "squared_error"),
        "training": _training(trained, part.config),
        "machine": _machine(training["device"], run),
        "seconds": round(time.monotonic() - began, 1),
        "processor_seconds": round(time.process_time() - worked, 1),
        "resumed": resume,
    }


def _errors(found: PredictionEvaluation, metric: str) -> dict[str, dict[str, float]]:
    """Return the mean error of each predictor, by objective."""
    return {
        objective: {predictor: curve.mean for predictor, curve in metrics[metric].items()}
        for objective, metrics in found.metrics.by_objective.items()
    }


def _training(trained: PretrainResult, config: PretrainConfig) -> dict[str, Any]:
    return {
        "units": config.encoder.hidden_size,
        "layers": config.encoder.num_layers,
        "parameters": trained.num_parameters,
        "context": trained.validation.num_context,
        "future": config.windows.num_future,
        "optimizer": config.optimizer.name,
        "batch_size": config.training.batch_size,
        "steps": trained.outcome.steps,
        "best_step": trained.outcome.best_step,
    }


def _machine(device: str, run: Path) -> dict[str, str]:
    chosen, last = choose_device(device), read_history(run)[-1]
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else processor_name()
    cores = "" if chosen.type == "cuda" else f", {os.cpu_count()} cores"
    return {
        "hardware": f"{name}{cores}",
        "software": f"vidrep {last.vidrep}, torch {torch.__version__}, Python {platform.python_version()}",
        "commit": last.commit,
        "date": last.date.partition("T")[0],
    }


def _row(part: _Part, result: Mapping[str, Any]) -> Row:
    return Row(
        table=part.table,
        model=part.model,
        recipe=part.recipe,
        measured=Measured(**result),
    )
