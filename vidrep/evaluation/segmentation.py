"""How well a run that labels every frame does on long videos, with baselines beside it.

Shapes: T frames of a video, K labels.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import ConfigError, InputError
from ..features.store import Features
from ..metrics.paired import PairedDifference
from ..metrics.segmentation.bouts import Bouts
from ..metrics.segmentation.metrics import BoutMetrics, PredictedVideo, bout_metrics, f1_difference
from ..metrics.segmentation.per_frame import FrameMetrics, frame_metrics, several_labels_metrics
from ..metrics.segmentation.truth import Truth, read_truth
from ..metrics.verdicts import accuracy_verdict
from ..progress import Progress
from ..timelines.finder import find_bouts, frame_activity, frame_labels
from ..timelines.segmenter_run import LSTM, FramePredictor, SegmenterRun
from ..timelines.settings import BoutSettings
from .bout_results import COLUMNS, bout_results, write_bout_table
from .request import EvaluationOptions, SelectedVideos, TrainedRun
from .result_tables import require_result_tables
from .segments_of_run import segments_of_run, splits_and_groups


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one way to label frames comes to: frame by frame, and as bouts."""

    frames: FrameMetrics
    bouts: BoutMetrics


@dataclass(frozen=True, kw_only=True)
class SegmentationEvaluation:
    """Metrics of a run that labels frames; time of which nobody said what it shows is scored nowhere.

    labels: with the background, "" for none, as the last. seconds: scored. delay: frames after one that its labels
    depend on, at most. rules: for bouts. predictor, predicted: what labels the frames of the run: its LSTM, a baseline,
    or the average of both. network: the LSTM alone. baselines: classifiers of single frames, or of the mean of a
    window. Each has rules of its own, chosen on the same validation videos. differences: the segmental F1 at 50 %
    overlap of what predicts minus each other one's, with an interval over groups. num_left_out: videos left out because
    the run was trained on them.
    """

    which: str
    labels: tuple[str, ...]
    background: str
    several_labels: bool
    num_videos: int
    num_left_out: int
    seconds: float
    delay: int
    rules: BoutSettings
    predictor: str
    predicted: Measured
    network: Measured
    baselines: dict[str, Measured]
    differences: dict[str, PairedDifference]

    @property
    def verdict(self) -> str:
        """One sentence on what predicts: is it better than the baselines, or the LSTM?"""
        is_baseline = self.predictor in self.baselines
        subject = f"baseline {self.predictor}, which predicts" if is_baseline else self.predictor
        return accuracy_verdict(f"The {subject}, by segmental F1 at 50 % overlap,", self.differences)

    def to_json(self) -> dict[str, Any]:
        """Return everything, and the verdict, JSON-like."""
        return asdict(self) | {"verdict": self.verdict}


def check_segmentation(run: TrainedRun, options: EvaluationOptions) -> None:
    """Raise ConfigError for options that are for other runs, OutputError for files that cannot be written."""
    given = {
        "MNIST digits": options.mnist,
        "another number of predicted frames": options.num_future,
        "a filmstrip": options.filmstrip,
        "a probe": options.probe or None,
        "shuffled frames": options.shuffle_frames or None,
        "a reliability plot": options.reliability,
    }
    for what, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{run.folder}: a segmentation, which labels frames; {what}: for other runs; `vidrep predict` writes "
                "what it makes of videos"
            )
    require_result_tables(options, COLUMNS)


def with_segments(run: TrainedRun, features: Features, options: EvaluationOptions) -> EvaluationOptions:
    """Return options with the annotations with time that trained the run, if they have none, and what these say of
    whole videos."""
    segments = options.segments or segments_of_run(run.folder, features)
    return replace(options, segments=segments, annotations=options.annotations or splits_and_groups(segments))


def select_annotated(run: TrainedRun, selected: SelectedVideos) -> SelectedVideos:
    """Leave videos without a frame out; raises InputError if none is left."""
    known = [index for index in selected.indices if selected.features.videos[index].length]
    if not known:
        raise InputError(f"{selected.features.path}: {selected.which} have no frame; give features of others")
    return replace(selected, indices=known)


@dataclass(frozen=True, kw_only=True)
class _Annotated:
    """The selected videos that are annotated, what is known of them, and their groups."""

    features: Features
    truth: Truth
    videos: list[int]
    groups: list[str]

    @classmethod
    def of(cls, run: TrainedRun, selected: SelectedVideos, options: EvaluationOptions) -> "_Annotated":
        """Raises InputError if none of the videos is annotated."""
        features, description = selected.features, run.description
        assert options.segments is not None
        head = description.head
        truth = read_truth(
            features,
            options.segments,
            background=head["background"],
            several_labels=head["several_labels"],
            labels=description.classes,
        )
        videos = [video for video in selected.indices if video in truth.videos]
        if not videos:
            raise InputError(
                f"{features.path}: {selected.which} have no annotations; give --annotations FILE, or features of others"
            )
        groups = [selected.annotated.groups[video] for video in videos]
        return cls(features=features, truth=truth, videos=videos, groups=groups)


def predicted_videos(run: TrainedRun, selected: SelectedVideos, options: EvaluationOptions) -> list[PredictedVideo]:
    """Find the bouts of the selected videos that are annotated, beside the true ones.

    Raises InputError if none is.
    """
    return _measure(_Annotated.of(run, selected, options), SegmenterRun.load(run.folder, run.device))[0]


def evaluate_segmentation(
    run: TrainedRun, selected: SelectedVideos, options: EvaluationOptions
) -> SegmentationEvaluation:
    """Label the frames of the selected videos, find bouts, and compare both with the annotations.

    Raises InputError if none of the videos is annotated.
    """
    annotated = _Annotated.of(run, selected, options)
    truth, segmenter = annotated.truth, SegmenterRun.load(run.folder, run.device)
    baselines = [FramePredictor("linear", name) for name in segmenter.baselines]
    every = dict.fromkeys([segmenter.predictor, LSTM, *baselines])
    predicted, measured = {}, {}
    for number, one in enumerate(every, start=1):
        predicted[str(one)], measured[str(one)] = _measure(annotated, segmenter.predicting_with(one))
        options.on_progress(Progress(done=number, total=len(every), unit="classifiers"))
    name = str(segmenter.predictor)
    if options.predictions is not None:
        write_bout_table(options.predictions, bout_results(predicted[name], truth.labels))
    if options.errors is not None:
        bouts = bout_results(predicted[name], truth.labels)
        write_bout_table(options.errors, (one for one in bouts if one.outcome != "found"))
    num_labels = len(truth.labels)
    return SegmentationEvaluation(
        which=selected.which,
        labels=truth.labels,
        background=truth.background or "",
        several_labels=truth.several_labels,
        num_videos=len(annotated.videos),
        num_left_out=selected.num_left_out,
        seconds=sum(truth.videos[video].seconds for video in annotated.videos),
        delay=segmenter.delay,
        rules=segmenter.rules,
        predictor=name,
        predicted=measured[name],
        network=measured[str(LSTM)],
        baselines={str(one): measured[str(one)] for one in baselines},
        differences={
            other: f1_difference(predicted[name], predicted[other], num_labels) for other in measured if other != name
        },
    )


def _measure(annotated: _Annotated, segmenter: SegmenterRun) -> tuple[list[PredictedVideo], Measured]:
    truth, groups = annotated.truth, annotated.groups
    predicted, true_frames, labels, activity = [], [], [], []
    for video, group in zip(annotated.videos, groups, strict=True):
        of_video, timeline = truth.videos[video], segmenter.timeline(annotated.features, video)
        bouts = find_bouts(timeline, segmenter.rules)
        predicted.append(
            PredictedVideo(
                name=timeline.video, true=of_video.bouts, predicted=bouts, watched=of_video.known, group=group
            )
        )
        true_frames.append(truth.targets(video))
        if truth.several_labels:
            activity.append(frame_activity(timeline, bouts))
        else:
            labels.append(frame_labels(timeline, bouts, unsure=Bouts.of([], [], [])))  # every frame is to have a label
    if truth.several_labels:
        of_frames = several_labels_metrics(true_frames, activity, truth.labels, groups)
    else:
        of_frames = frame_metrics(true_frames, labels, truth.labels, groups)
    names = [name for name in truth.labels if name != truth.background]
    return predicted, Measured(
        frames=of_frames,
        bouts=bout_metrics(predicted, names, several_labels=truth.several_labels),
    )
