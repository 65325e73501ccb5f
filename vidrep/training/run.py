"""The run folder: what a training leaves behind.

config.toml         every setting, resolved
videos.csv          which video was in which split, with its label, group, and checksums of its rows and its source
environment.json    versions, device, threads
history.jsonl       when, by which command and from which features it was started, and each time that it went on
metrics.jsonl       one line a validation: step, training and validation metrics
model.safetensors, model.json      the best weights so far, and how to use them
bouts.json          the rules by which bouts are found, of all that may label frames (training from segments only)
frame_baselines.safetensors        what the network that labels frames is measured against (training from segments only)
baselines.safetensors              what the LSTM is measured against, fitted on the same videos (fine-tuning only)
predictor.json      what predicts: the LSTM, a linear baseline, or the average of both (fine-tuning only)
selection/          what cross-validation tried, and how it did; from segments, networks that did not learn from
                    validation videos, and what these chose (fine-tuning only)
folds/              what folds tested: a run for each fold, and how they did together (fine-tuning only)
ensemble.json       how many models there are in members/, each a run of its own; written once they are finished
pretrained/         what it started from: the encoder and the input transforms of a fine-tuning; the model and the
                    videos of a pretraining
checkpoints/NNNNNNNN.pt            everything needed to go on from a step, for the last few
samples/filmstrip.png              some held-out windows above what a pretraining makes of them, if they are pictures
tensorboard/        the metrics of metrics.jsonl as TensorBoard's events, where it is installed
"""

import csv
import json
import logging
import platform
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w
import torch

from ..config.kinds import CONFIGS
from ..config.reader import load_run_settings, to_mapping
from ..config.settings import PretrainConfig
from ..errors import ConfigError, InputError, OutputError, Stopped, shortened
from ..files import naming_output, remove, write_text
from ..locking import locking_output
from ..models.description import DESCRIPTION_NAME
from ..models.members import ENSEMBLE_NAME, MEMBERS_FOLDER, member_folder
from ..version import __version__
from .checkpoints import Checkpoints
from .history import HISTORY_NAME, Origin, append_start, new_start, read_history
from .run_metrics import EVENTS_FOLDER, METRICS_NAME
from .run_videos import CONFIG_NAME, PRETRAINED_NAME, VIDEOS_NAME, RunVideos, difference

_log = logging.getLogger(__name__)

_ENVIRONMENT_NAME = "environment.json"
_CONTENTS = {
    CONFIG_NAME,
    VIDEOS_NAME,
    _ENVIRONMENT_NAME,
    HISTORY_NAME,
    METRICS_NAME,
    "model.safetensors",
    "model.json",
    "baselines.safetensors",
    "bouts.json",
    "frame_baselines.safetensors",
    ENSEMBLE_NAME,
    MEMBERS_FOLDER,
    "predictor.json",
    "predictor.safetensors",
    "selection",
    "folds",
    "checkpoints",
    PRETRAINED_NAME,
    "samples",
    EVENTS_FOLDER,
}
# Settings that a resumed run may change: a checkpoint records the precision, and another one is a warning.
_FREE_ON_RESUME = frozenset({"training.precision", "given"})
_STEPS = ("training.steps", "selection.final_steps")  # it may have more of them
_OF_NETWORK = frozenset({"encoder", "cell", "objectives", "head"})  # sections of a model's description
# How many changed settings a message shows.
_MOST_SHOWN = 3


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filmstrip_path = path / "samples" / "filmstrip.png"
        self.pretrained_path = path / PRETRAINED_NAME
        self.checkpoints = Checkpoints(path / "checkpoints")
        self._config_path = path / CONFIG_NAME
        self._environment_path = path / _ENVIRONMENT_NAME
        self._set_aside_path = path.with_name(f".{path.name}.before")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that writes this folder; OutputError at once, naming the other one, if there is one."""
        with locking_output(self.path):
            yield

    @contextmanager
    def prepared(
        self,
        settings: dict[str, Any],
        videos: RunVideos,
        *,
        resume: bool,
        overwrite: bool,
        device: torch.device,
        num_ranks: int = 1,
        origin: Origin | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Iterator[None]:
        """Make the folder new, or check that the run can be resumed; write config, videos and environment.

        A run that this one replaces is set aside until this one has a model. If the block raises before, the earlier
        run is put back.
        origin, changes: for history.jsonl, see `Start`.
        Raises OutputError if it exists and neither is wanted, if it is resumed with other settings or videos, or if it
        cannot be written; InputError if there is no run to resume.
        """
        self.require_usable(resume=resume, overwrite=overwrite)
        try:
            more_steps = resume and self._require_same_config(settings)
            self._prepare(settings, videos.table(), resume=resume)
            self._write_environment(device, num_ranks)
            start = new_start(
                origin or Origin(),
                features=videos.features_path,
                content=videos.content,
                changes={} if resume else changes or {},
            )
            if more_steps:
                start = replace(start, steps=_steps_in_all(settings), from_step=self._last_step())
            append_start(self.path, start)
            if more_steps:  # after its record: killed in between, the same command does both
                write_text(self._config_path, tomli_w.dumps(settings))
            yield
        except BaseException as error:
            if not resume and self._restore_earlier():
                if isinstance(error, Stopped):
                    raise Stopped("stopped before it had a model; the run that it was to replace is back") from error
                _log.warning("%s is again the run that was to be replaced", self.path)
            raise

    def _prepare(self, settings: dict[str, Any], table: str, *, resume: bool) -> None:
        if resume:
            self._require_same_videos(table)
        with naming_output(self.path):
            self._remove_leftovers()
            if resume and self.has_model():
                self.forget_earlier()
            if not resume:
                self._clear()
                write_text(self._config_path, tomli_w.dumps(settings))
                write_text(self.path / VIDEOS_NAME, table)

    def require_usable(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse, before any work, a folder that is in use or a run that cannot be resumed; raises as `prepared`."""
        if resume and overwrite:
            raise ConfigError("resume and overwrite: give one of the two, to go on or to start anew")
        if resume and not self._config_path.is_file():
            raise InputError(f"{self.path}: no run to resume; leave --resume out to start one")
        if resume:
            self.checkpoints.require_this_version()
        if not resume and self.path.exists():
            self._require_replaceable(overwrite)

    def _require_replaceable(self, overwrite: bool) -> None:
        """Refuse a folder that may not, or should not, be replaced."""
        if not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; give a new folder")
        names = sorted(file.name for file in self.path.iterdir() if not _is_left_over(file.name))
        if not names:
            return
        if not overwrite:
            raise OutputError(f"{self.path} exists; give a new folder, --resume to go on or --overwrite to start anew")
        strange = [name for name in names if name not in _CONTENTS]
        if strange or self._config_path.name not in names:
            what = f"{strange[0]}, which no run holds" if strange else "no config.toml, as a run does"
            raise OutputError(f"{self.path} is not overwritten: it holds {what}; give a new folder")

    def _clear(self) -> None:
        """Make the folder new; an earlier run is set aside until this one has a model.

        Of two earlier ones, which a crash can leave, the newer is kept if it has a model, else the older.
        """
        if self.has_model():
            self.forget_earlier()
        if self.path.exists() and any(self.path.iterdir()):
            if self._set_aside_path.exists():
                shutil.rmtree(self.path)
            else:
                self.path.rename(self._set_aside_path)
        self.path.mkdir(parents=True, exist_ok=True)

    def _remove_leftovers(self) -> None:
        """Remove what a killed process was about to publish."""
        for folder in (self.path, self.checkpoints.folder, self.pretrained_path):
            for file in sorted(folder.iterdir()) if folder.is_dir() else ():
                if _is_left_over(file.name):
                    remove(file)

    def has_begun(self) -> bool:
        """Return whether a training has begun there, so that it can be resumed."""
        return self._config_path.is_file()

    def has_model(self) -> bool:
        """Return whether a model is there that can be used: the best weights so far, or all models of an ensemble."""
        return any((self.path / name).is_file() for name in (DESCRIPTION_NAME, ENSEMBLE_NAME))

    def forget_earlier(self) -> None:
        """Remove the run that this one replaces, now that this one has a model."""
        if self._set_aside_path.exists():
            with naming_output(self._set_aside_path):
                shutil.rmtree(self._set_aside_path)

    def _restore_earlier(self) -> bool:
        """Put back the run that this one was to replace, if that was set aside and this one has no model.

        Return whether it is back.
        """
        if not self._set_aside_path.exists() or self.has_model():
            return False
        try:
            shutil.rmtree(self.path)
            self._set_aside_path.rename(self.path)
        except OSError as error:  # what ended the run counts more
            _log.warning("the run that was to be replaced is in %s (%s)", self._set_aside_path, error.strerror)
            return False
        return True

    def _require_same_videos(self, table: str) -> None:
        """Refuse to go on with other videos than those that the run began with, or with others in its splits."""
        path = self.path / VIDEOS_NAME
        try:
            changed = difference(path.read_text(encoding="utf-8"), table) if path.exists() else ""
        except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error
        if changed:
            raise OutputError(
                f"{self.path}: the videos are not those that the run began with: {changed}; resume with the same "
                f"features, labels and splits, or give a new folder, and --from {self.path} to start from its weights"
            )
        write_text(path, table)

    def more_steps_from(self) -> int | None:
        """Return after which step more steps were asked for the last time, None if they never were."""
        return next((one.from_step for one in reversed(read_history(self.path)) if one.steps is not None), None)

    def _last_step(self) -> int:
        """Return the step of the newest checkpoint, of a run of several models of its first one."""
        return self.checkpoints.last_step() or Checkpoints(member_folder(self.path, 1) / "checkpoints").last_step()

    def _require_same_config(self, settings: Mapping[str, Any]) -> bool:
        """Refuse to go on with other settings, but for more steps; return whether there are more."""
        try:
            before = _flat(tomllib.loads(self._config_path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{self._config_path}: cannot be read ({error})") from error
        if "encoder.cell" not in before:
            raise InputError(
                f"{self._config_path}: a run of an earlier version of vidrep, which this one cannot go on with; "
                "--overwrite starts anew"
            )
        # Settings that came after the run began have their defaults there.
        recorded = load_run_settings(CONFIGS[before.get("kind", PretrainConfig.kind)], self._config_path)
        before = _flat(to_mapping(recorded)) | before
        now = _flat(settings)
        stretched = {name for name in _STEPS if now.get(name, 0) > before.get(name, 0)}
        if changed := _differences(before, now, free=_FREE_ON_RESUME | stretched):
            raise OutputError(f"{self.path}: resumed with {changed}; leave that out, or give a new folder")
        return bool(stretched)

    def require_same_description(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Raise OutputError, naming the difference, if the run's model is not the one that is to go on."""
        before, now = _flat(before), _flat(now)
        # Settings of the network that came after the run began have the defaults that its config agrees with.
        later = {name for name in now.keys() - before.keys() if name.partition(".")[0] in _OF_NETWORK}
        # Where a weights file lies does not count: its hash does.
        if changed := _differences(before, now, free={"extractor.weights_file", *later}):
            raise OutputError(
                f"{self.path}: resumed with a model of {changed}; resume with the same features and, if there was "
                "one, the same --from"
            )

    def recorded_threads(self) -> int | None:
        """Return the CPU threads with which this run last computed, None if that was not recorded."""
        try:
            threads = json.loads(self._environment_path.read_text(encoding="utf-8"))["threads"]
        except (OSError, ValueError, KeyError, TypeError):  # a run that was killed before it was written
            return None
        return threads if isinstance(threads, int) and threads >= 1 else None

    def _write_environment(self, device: torch.device, num_ranks: int) -> None:
        environment = {
            "vidrep": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "system": platform.system(),
            "machine": platform.machine(),
            "device": str(device),
            "threads": torch.get_num_threads(),
            "ranks": num_ranks,
        }
        write_text(self._environment_path, json.dumps(environment, indent=2) + "\n")


def _steps_in_all(settings: Mapping[str, Any]) -> int:
    """Return the steps of what is trained in the end, of settings whose steps are more than before."""
    steps: int = settings.get("selection", {}).get("final_steps", 0) or settings["training"]["steps"]
    return steps


def _is_left_over(name: str) -> bool:
    """Return whether a name is that of a file which a killed process was about to publish."""
    return name.startswith(".") and name.endswith(".tmp")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], *, free: Set[str] = frozenset()) -> str:
    """Name what differs, "this 3, the run has 2; and 4 more", or '' if nothing does; `free` may."""
    changed = [name for name in sorted((before.keys() | now.keys()) - free) if before.get(name) != now.get(name)]
    shown = [
        f"{name} {shortened(repr(now.get(name)))}, the run has {shortened(repr(before.get(name)))}"
        for name in changed[:_MOST_SHOWN]
    ]
    more = len(changed) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
