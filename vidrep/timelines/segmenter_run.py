"""A finished training from segments: what labels frames in it, and the rules by which bouts are found in that."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import ConfigError, InputError
from ..features.store import Features
from ..files import write_text
from ..metrics.predictor_file import (
    PREDICTOR_NAME,
    PredictorKind,
    predictor_name,
    read_predictor,
    unusable_predictor,
    write_predictor,
)
from ..metrics.segmentation.fitted_baselines import load_frame_baselines, save_frame_baselines
from ..metrics.segmentation.frame_baselines import FrameClassifier
from ..metrics.segmentation.frame_mean import MeanOfTwo
from ..metrics.segmentation.frame_network import FrameNetwork
from ..segments.frame_clock import frame_edges
from .settings import BoutSettings
from .timeline import Timeline

BOUTS_NAME = "bouts.json"
FORMAT, VERSION = "vidrep-bouts", 2


@dataclass(frozen=True)
class FramePredictor:
    """What labels the frames of a run: its LSTM, a baseline, or the average of their probabilities.

    reads: the name of the baseline, "" for none.
    """

    kind: PredictorKind = "lstm"
    reads: str = ""

    def __str__(self) -> str:
        return predictor_name(self.kind, self.reads)


LSTM = FramePredictor()


@dataclass(frozen=True)
class SegmenterRun:
    """A run of `finetune_segments`: its network, the baselines beside it, and which of them predicts.

    rules_of: the rules by which bouts are found, by what labels the frames.
    """

    network: FrameNetwork
    baselines: Mapping[str, FrameClassifier] = field(default_factory=dict)
    rules_of: Mapping[str, BoutSettings] = field(default_factory=dict)
    predictor: FramePredictor = LSTM

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> "SegmenterRun":
        """Read a run folder; raises InputError if its training is not finished, or a file is damaged."""
        network, path = FrameNetwork.of_folder(folder, device), folder / BOUTS_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (found := (content.get("format"), content.get("version"))) != (FORMAT, VERSION):
                raise ValueError(f"{found[0]} version {found[1]} in place of {FORMAT} version {VERSION}")
            rules_of = {name: BoutSettings.from_dict(rules) for name, rules in content["rules"].items()}
        except FileNotFoundError as error:
            raise InputError(f"{folder}: its training is not finished; --resume goes on with it") from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ConfigError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); the run is damaged, or of another version: train it again"
            ) from error
        baselines, described = load_frame_baselines(folder), read_predictor(folder)
        if not described:
            raise InputError(f"{folder / PREDICTOR_NAME}: is not there; the run is damaged, train it again")
        predictor = FramePredictor(described["kind"], described["reads"])
        if predictor.kind != "lstm" and predictor.reads not in baselines:
            raise unusable_predictor(folder, ValueError(f"{predictor.reads!r} is no baseline of the run"))
        if str(predictor) not in rules_of:
            raise InputError(f"{path}: has no rules for {predictor}; the run is damaged, train it again")
        return cls(network, baselines, rules_of, predictor)

    def save(self, folder: Path) -> None:
        """Write all but the network into a run folder; raises OutputError if that is impossible."""
        save_frame_baselines(folder, self.baselines)
        write_predictor(folder, self.predictor.kind, self.predictor.reads)
        rules_of = {name: rules.to_dict() for name, rules in self.rules_of.items()}
        content = {"format": FORMAT, "version": VERSION, "rules": rules_of}
        write_text(folder / BOUTS_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    @property
    def rules(self) -> BoutSettings:
        """The rules by which bouts are found in what the run predicts."""
        return self.rules_of[str(self.predictor)]

    @property
    def delay(self) -> int:
        """Frames after one that what the run predicts of it depends on, at most."""
        return self.classifier(self.predictor).frames_ahead

    def predicting_with(self, predictor: FramePredictor) -> "SegmenterRun":
        """Return the run with another predictor."""
        return replace(self, predictor=predictor)

    def classifier(self, predictor: FramePredictor) -> FrameClassifier:
        """Return what labels frames."""
        if predictor.kind == "lstm":
            return self.network
        baseline = self.baselines[predictor.reads]
        return baseline if predictor.kind == "linear" else MeanOfTwo(self.network, baseline)

    def timeline(self, features: Features, video: int) -> Timeline:
        """Return what the run predicts of all frames of a video in features."""
        blocks = (block for block, _ in features.blocks(video))
        labels, start = self.network.labels, 0
        probabilities = np.empty((features.videos[video].length, len(labels)), dtype=np.float32)
        for some in self.classifier(self.predictor).probabilities(blocks):
            probabilities[start : start + len(some)] = some.clip(0, 1)
            start += len(some)
        return Timeline(
            video=features.videos[video].path,
            edges=frame_edges(features, video),
            probabilities=probabilities,
            labels=labels,
            background=self.network.background,
            several_labels=self.network.several_labels,
        )
