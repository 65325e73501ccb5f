"""The pretraining that another one continues on more or other videos of the same features: its weights and its videos.

A run keeps a copy in pretrained/, so that resuming it needs no other run, and that the videos which trained the earlier
one still count as used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config.settings import PretrainConfig
from ..errors import ConfigError, InputError, OutputError
from ..extraction.compatibility import require_same_features
from ..features.store import Features
from ..files import write_text
from ..models.description import ModelDescription, read_description
from ..models.members import member_folder, member_folders, write_members
from ..models.saved import TrainedModel, hash_of_weights, load_weights, read_weights, save_model
from .run import RunFolder
from .run_videos import VIDEOS_NAME, earlier_videos, trained_content


@dataclass(frozen=True)
class EarlierRun:
    """A finished pretraining to continue.

    videos: its videos.csv, with the rows of the runs that it continued itself.
    """

    folder: Path
    description: ModelDescription
    weights: Mapping[str, Tensor]
    videos: str

    @classmethod
    def load(cls, folder: Path, videos: str) -> "EarlierRun":
        """Read a model, of a run with these videos.

        Raises InputError if it is no pretraining or cannot be read.
        """
        description = read_description(folder)
        if description.kind != "pretraining":
            raise InputError(f"{folder}: a classifier; `vidrep train --from` continues a run of `vidrep train`")
        return cls(folder, description, read_weights(folder), videos)

    @property
    def trained(self) -> frozenset[str]:
        """What identifies the videos that its weights learned from: checksums of rows and of source files."""
        return trained_content(self.videos)

    def recorded(self) -> dict[str, Any]:
        """Return what the config.toml of the run that continues it holds of it."""
        return {"started_from": {"model_sha256": hash_of_weights(self.weights)}}

    def require_features(self, features: Features) -> None:
        """Raise FeatureFileError, with the difference, for features that are not those of the run."""
        require_same_features(features, self.description)

    def give_weights_to(self, model: TrainedModel, description: ModelDescription) -> None:
        """Give a new model its weights and the statistics of its input transforms.

        Raises ConfigError, naming the difference, if they do not fit.
        """
        for name, now, before in _compared(description, self.description):
            if now != before:
                raise ConfigError(f"{name} is {now!r}, but {self.folder} has {before!r}; leave {name} out")
        load_weights(model, self.weights, self.folder)


def read_earlier(
    run: RunFolder, pretrained: Path | None, config: PretrainConfig, features: Features | None, *, resume: bool
) -> list[EarlierRun]:
    """Read the models to continue: those of a given run, or on resume the copy that this run keeps; [] for none.

    Raises ConfigError for another number of models, FeatureFileError for features that are not those of the run.
    """
    if pretrained is not None and pretrained.resolve() == run.path.resolve():
        raise OutputError(f"{run.path} is the run to start from; give a new folder, or --resume to go on with it")
    folder = pretrained or (run.pretrained_path if resume and run.pretrained_path.is_dir() else None)
    if folder is None:
        return []
    videos = earlier_videos(folder)
    earlier = [EarlierRun.load(member, videos) for member in member_folders(folder)]
    if len(earlier) != config.training.ensemble:
        raise ConfigError(
            f"training.ensemble is {config.training.ensemble}, but {folder} has {len(earlier)} models; leave it out"
        )
    if features is not None:
        earlier[0].require_features(features)
    return earlier


def keep_earlier(earlier: Sequence[EarlierRun], run: RunFolder) -> None:
    """Copy the models to continue into the run; raises OutputError if that is impossible."""
    folder = run.pretrained_path
    write_text(folder / VIDEOS_NAME, earlier[0].videos)
    if len(earlier) == 1:
        save_model(folder, earlier[0].description, earlier[0].weights)
        return
    for number, one in enumerate(earlier, start=1):
        save_model(member_folder(folder, number), one.description, one.weights)
    write_members(folder, len(earlier))


def _compared(now: ModelDescription, before: ModelDescription) -> Iterator[tuple[str, Any, Any]]:
    """Yield what must agree: the setting, what it is now, and what it is of the earlier run."""
    for name, value in before.architecture.items():
        yield f"encoder.{name}", now.architecture[name], value
    for name, value in before.cell.items():
        yield f"cell.{before.encoder['cell']}.{name}", now.cell.get(name), value
    yield "likelihood", now.likelihood, before.likelihood
    yield "transforms", now.transforms, before.transforms
    yield "objectives", list(now.objectives), list(before.objectives)
    for name, settings in before.objectives.items():
        for key in settings.keys() - {"weight"}:
            yield f"objective.{name}.{key}", now.objectives[name].get(key), settings[key]
