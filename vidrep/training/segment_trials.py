"""Networks that do not learn from the validation videos, by which these choose what labels frames."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from ..config.segmentation import ClassWeights, SegmentationConfig
from ..devices import choose_device, torch_settings
from ..errors import InputError
from ..files import remove_leftovers
from ..metrics.segmentation.fitted_baselines import fit_baselines
from ..metrics.segmentation.frame_baselines import FrameClassifier
from ..metrics.segmentation.frame_network import FrameNetwork
from .collectives import Ranks
from .run import RunFolder
from .segment_selection import SegmentSelection, choose_predictor
from .segmenter_training import SegmenterTraining
from .session import SessionOptions
from .trials import SELECTION_FOLDER, write_json

_log = logging.getLogger(__name__)

_WEIGHTS_NAME = "class-weights.json"


class Chosen(NamedTuple):
    """What validation videos chose, and the baselines among which: fitted to the training videos alone."""

    baselines: Mapping[str, FrameClassifier]
    selection: SegmentSelection


def weights_to_try(config: SegmentationConfig) -> tuple[ClassWeights, ...]:
    """Return the class weights among which validation chooses, what is taken without any first."""
    weights = config.segmenter.class_weights
    return ("balanced", "none") if weights == "auto" else (weights,)


def with_weights(training: SegmenterTraining, weights: ClassWeights) -> SegmenterTraining:
    """Return a training with these class weights."""
    segmenter = replace(training.config.segmenter, class_weights=weights)
    return replace(training, config=replace(training.config, segmenter=segmenter))


def train_trials(
    run: RunFolder, training: SegmenterTraining, options: SessionOptions, ranks: Ranks
) -> dict[ClassWeights, Path]:
    """Train a network with each of the class weights, or go on with it; return their folders within the run."""
    _log.info("first without the validation videos, which choose what labels frames and its rules; then with them")
    folders: dict[ClassWeights, Path] = {}
    for weights in weights_to_try(training.config):
        trial = RunFolder(run.path / SELECTION_FOLDER / weights)
        resume = ranks.call_on_rank_zero(trial.has_begun)
        with_weights(training, weights).train(trial, replace(options, resume=resume, overwrite=False))
        folders[weights] = trial.path
    return folders


def choose(
    run: RunFolder, trials: Mapping[ClassWeights, Path], training: SegmenterTraining, options: SessionOptions
) -> Chosen:
    """Fit the baselines to the training videos, and let the validation videos choose; see `choose_predictor`.

    Class weights that were chosen once are kept in the run: what goes on with them has to be trained with the same.

    trials: folders of networks that did not learn from the validation videos, by their class weights.
    """
    videos = training.videos
    path = run.path / SELECTION_FOLDER / _WEIGHTS_NAME
    remove_leftovers(path)
    with torch_settings(choose_device(options.device), threads=options.threads) as settings:
        baselines = fit_baselines(videos.features, videos.truth, videos.split.train, groups=videos.annotated.groups)
        networks = {weights: FrameNetwork.of_folder(folder, settings.device) for weights, folder in trials.items()}
        kept = _read_weights(path) if len(networks) > 1 else None
        selection = choose_predictor(networks, baselines, videos, training.config.predictor, kept_weights=kept)
    if len(networks) > 1:
        write_json(path, selection.class_weights)
    return Chosen(baselines, selection)


def _read_weights(path: Path) -> ClassWeights | None:
    """Read the class weights that were chosen, None if none were; raises InputError for others."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return next(one for one in get_args(ClassWeights) if one == found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, StopIteration) as error:
        raise InputError(f"{path}: names no class weights ({error}); remove it to choose anew") from error
