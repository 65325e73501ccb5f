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
from ..timelines.calibration import calibrate
from ..timelines.segmenter_run import SegmenterRun
from .collectives import Ranks
from .run import RunFolder
from .segment_selection import SegmentSelection, choose_predictor, predicted_timelines, stop_if, validated
from .segmentation_data import SegmentedVideos
from .segmenter_training import SegmenterTraining
from .session import SessionOptions
from .trials import SELECTION_FOLDER, write_json

_log = logging.getLogger(__name__)

_WEIGHTS_NAME = "class-weights.json"


class Chosen(NamedTuple):
    """What validation videos chose: class weights, and what predicts, among baselines of the training videos alone."""

    class_weights: ClassWeights
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

    trials: folders of networks that did not learn from the validation videos, by their class weights.
    """
    videos = training.videos
    with torch_settings(choose_device(options.device), threads=options.threads) as settings:
        networks = {weights: FrameNetwork.of_folder(folder, settings.device) for weights, folder in trials.items()}
        weights = next(iter(networks))
        if len(networks) > 1:
            weights = _chosen_weights(run.path / SELECTION_FOLDER / _WEIGHTS_NAME, networks, videos)
        stop_if(options.should_stop)
        baselines = fit_baselines(videos.features, videos.truth, videos.split.train, groups=videos.annotated.groups)
        selection = choose_predictor(
            networks[weights], baselines, videos, training.config.predictor, options.should_stop
        )
    return Chosen(weights, baselines, selection)


def _chosen_weights(path: Path, networks: Mapping[ClassWeights, FrameNetwork], videos: SegmentedVideos) -> ClassWeights:
    """Return the class weights with which the network finds bouts best, the first of equal ones.

    They are kept: a run that goes on, perhaps for more steps or on another machine, has to go on with the same.
    """
    remove_leftovers(path)
    if (kept := _read_weights(path)) is not None:
        return kept
    found = {}
    for weights, network in networks.items():
        timelines = predicted_timelines(SegmenterRun(network), videos)
        found[weights] = calibrate(validated(timelines, videos), name=f"LSTM, class weights {weights}")
    chosen = max(found, key=lambda name: found[name].score if found[name].is_chosen else 0.0)
    scores = ", ".join(f"{name} {one.score:.3f}" for name, one in found.items())
    _log.info("class weights %s are taken, by the mean F1 at 50, 70 and 90 %% overlap: %s", chosen, scores)
    write_json(path, chosen)
    return chosen


def _read_weights(path: Path) -> ClassWeights | None:
    """Read the class weights that were chosen, None if none were; raises InputError for others."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names: tuple[ClassWeights, ...] = get_args(ClassWeights)
        for one in names:
            if one == found:
                return one
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        found = error
    raise InputError(f"{path}: names no class weights ({found}); remove it to choose anew")
