"""What a fine-tuning starts from: the encoders of pretrained runs, and a copy of them in its own folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.kinds import FromPretrained, FromPretrainedT
from ..config.settings import EncoderSettings, FinetuneConfig
from ..errors import ConfigError, InputError, OutputError
from ..models.description import DESCRIPTION_NAME, ModelDescription
from ..models.members import ENSEMBLE_NAME
from ..models.pretrained import PretrainedEncoders
from .run import RunFolder


def read_start(
    run: RunFolder, pretrained: Path | str | Sequence[Path | str] | None, *, resume: bool
) -> PretrainedEncoders | None:
    """Read the encoders to start from: those of given runs, or on resume the copy that this run keeps."""
    given = [pretrained] if isinstance(pretrained, Path | str) else pretrained or []
    folders = [Path(one) for one in given]
    for folder in folders:
        if folder.resolve() == run.path.resolve():
            raise OutputError(f"{run.path} is the run to start from; give a new folder")
    if folders:
        return PretrainedEncoders.load(folders)
    if not (resume and run.pretrained_path.is_dir()):
        return None
    if not _is_kept(run):
        raise InputError(f"{run.path}: the encoders that it starts from were not copied completely; give --from again")
    return PretrainedEncoders.load([run.pretrained_path])


def keep_start(start: PretrainedEncoders, run: RunFolder) -> None:
    """Copy the encoders into the run, unless they are there."""
    if not _is_kept(run):
        start.save(run.pretrained_path)


def _is_kept(run: RunFolder) -> bool:
    """Return whether the copy is complete: one of the two files is written last."""
    return any((run.pretrained_path / name).is_file() for name in (DESCRIPTION_NAME, ENSEMBLE_NAME))


def recorded_start(start: PretrainedEncoders | None) -> dict[str, Any]:
    """Return what a run's config.toml holds of the encoders that it started from, nothing from scratch."""
    return {} if start is None else {"started_from": {"encoder_sha256": start.sha256}}


def with_architecture(config: FromPretrainedT, pretrained: ModelDescription, where: str) -> FromPretrainedT:
    """Return the config with the encoder, transforms and clips of a pretrained run, of several the first's.

    Raises ConfigError for a setting that was given and differs: it cannot be met.
    """
    brought: dict[str, Any] = {f"encoder.{name}": value for name, value in pretrained.architecture.items()}
    brought |= {f"cell.{pretrained.encoder['cell']}.{name}": value for name, value in pretrained.cell.items()}
    for transform, settings in pretrained.transforms.items():
        brought |= {f"transform.{transform}.{name}": value for name, value in settings.items()}
    for key, value in brought.items():
        given, default = _value_and_default(config, key)
        if given != value and (key in config.given or given != default):
            raise ConfigError(f"{key} is {given!r}, but {where} has {value!r}; leave {key} out")
    if config.transforms != "auto" and list(config.transforms) != list(pretrained.transforms):
        raise ConfigError(
            f"transforms are {', '.join(config.transforms) or 'none'}, but {where} was trained with "
            f"{', '.join(pretrained.transforms) or 'none'}; leave transforms out"
        )
    encoder: EncoderSettings = replace(config.encoder, **pretrained.architecture)
    return replace(
        config,
        encoder=encoder,
        cell={encoder.cell: pretrained.cell},
        transforms=tuple(pretrained.transforms),
        transform=pretrained.transforms,
    )


def with_clips(config: FinetuneConfig, pretrained: ModelDescription) -> FinetuneConfig:
    """Read clips as a pretrained run did, unless consecutive frames or another length are asked for."""
    windows = config.windows
    if not pretrained.clips or windows.resample is False:
        return config
    length = int(pretrained.clips["num_frames"]) if windows.length == "auto" else windows.length
    seconds = pretrained.clips["clip_seconds"]
    return replace(config, windows=replace(windows, resample=True, length=length, clip_seconds=seconds))


def _value_and_default(config: FromPretrained, key: str) -> tuple[Any, Any]:
    """Return what "encoder.KEY", "cell.NAME.KEY" or "transform.NAME.KEY" is and is by default; None if not in use."""
    section, *names = key.split(".")
    if section == "encoder":
        return getattr(config.encoder, names[0]), getattr(type(config)().encoder, names[0])
    settings = getattr(config, section).get(names[0])
    return (None, None) if settings is None else (getattr(settings, names[1]), getattr(type(settings)(), names[1]))
