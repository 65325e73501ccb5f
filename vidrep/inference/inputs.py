"""What is predicted: videos, whose features are computed as those that a run was trained on, or features."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError
from ..extraction.compatibility import require_same_features
from ..extraction.extract import ExtractSummary, extract
from ..extraction.from_settings import build_extractor, recorded_sampling
from ..features.failures import Failure
from ..features.parts_folder import is_marked
from ..features.store import SUFFIXES, Features, open_features
from ..models.description import ModelDescription
from ..progress import ProgressListener, ignore_progress
from ..training.preparation import require_sound
from ..video.sampling import Sampling
from ..video.sources import find_videos


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How videos are read.

    weights: the extractor's weights file, if it is to be that one; else it is searched for, in the run's folder first.
    workers: decoding processes, see `vidrep.extraction.extract.extract`; for few videos none are quicker.
    images, frame_rate: of still images and folders of frames, see `find_videos`. start, end: seconds, what of each
    video is read. keep: a feature file that is to be kept, or gone on with, None for none.

    Raises ConfigError for a start or an end that cannot be.
    """

    weights: Path | None = None
    device: str = "auto"
    threads: int | None = None
    workers: int = 0
    images: bool = False
    frame_rate: float | None = None
    start: float | None = None
    end: float | None = None
    keep: Path | None = None
    on_progress: ProgressListener = ignore_progress

    def __post_init__(self) -> None:
        Sampling(start=self.start or 0.0, end=self.end)  # which refuses what cannot be


@dataclass(frozen=True, kw_only=True)
class PredictedInputs:
    """Features of what is predicted.

    paths: of the files by key, as they were reached from what was given; {} for features. copies: {key of a copy: that
    of the video which it is a copy of}. failures: videos that could not, or not wholly, be read.
    """

    features: Features
    paths: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    failures: Sequence[Failure] = ()


@contextmanager
def predicted_inputs(
    run: Path,
    description: ModelDescription,
    inputs: Features | Path | str | Sequence[Path | str],
    options: InputOptions,
) -> Iterator[PredictedInputs]:
    """Give the features of videos, or check those that are given; computed ones end with the block, unless kept.

    inputs: files, folders and patterns as `find_videos` takes them, or one feature file, opened or not.

    Raises InputError if the run cannot make features of videos, WeightsError if the weights are not the same,
    FeatureFileError if the features do not fit.
    """
    given = [inputs] if isinstance(inputs, Path | str) else inputs
    if isinstance(given, Features) or (len(given) == 1 and _is_feature_file(Path(given[0]))):
        if options.keep is not None:
            raise InputError(f"{options.keep}: features are given; only those of videos can be kept")
        features = given if isinstance(given, Features) else open_features(given[0])
        require_same_features(features, description)
        require_sound(features, range(len(features)))
        yield PredictedInputs(features=features)
        return
    if any(_is_feature_file(Path(one)) for one in given):
        raise InputError(f"{len(given)} inputs, a feature file among them; give one feature file, or videos alone")
    sources = find_videos(
        given, images=options.images, frame_rate=options.frame_rate, split_folders=False, class_folders=False
    )
    extractor = build_extractor(description.extractor, weights=options.weights, near=[run], device=options.device)
    sampling = _within(recorded_sampling(description.extractor), options)
    with tempfile.TemporaryDirectory(prefix="vidrep-predict-") as folder:
        output = options.keep or Path(folder) / "features.h5"

        def compute() -> ExtractSummary:
            return extract(
                sources,
                output,
                extractor,
                sampling=sampling,
                video_stream=description.extractor.get("video_stream"),
                workers=options.workers,
                threads=options.threads,
                on_progress=options.on_progress,
            )

        try:
            summary = compute()
        except InputError as error:
            if options.keep is not None:
                raise
            # The list of failures that it names goes with the folder.
            raise InputError(str(error).partition(" (every reason")[0]) from error
        yield PredictedInputs(
            features=open_features(summary.output),
            paths={source.key: str(source.path) for source in sources},
            copies=summary.changes.copies,
            failures=summary.failures,
        )


def _within(sampling: Sampling, options: InputOptions) -> Sampling:
    start = sampling.start if options.start is None else options.start
    return replace(sampling, start=start, end=sampling.end if options.end is None else options.end)


def _is_feature_file(path: Path) -> bool:
    return path.suffix in SUFFIXES or is_marked(path)
