"""Options that several commands share, each declared once; a group of them is one parameter of a command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from . import completion
from .help import (
    input_option,
    labels_option,
    other_option,
    output_option,
    sampling_option,
    speed_option,
    training_option,
)

if TYPE_CHECKING:
    from vidrep.config.kinds import Config
    from vidrep.features.annotations import Annotation
    from vidrep.features.store import Features as OpenFeatures
    from vidrep.segments.segment import Annotations
    from vidrep.training.history import Start
    from vidrep.video.sampling import Sampling
    from vidrep.video.sources import VideoSource


Features = Annotated[
    Path, typer.Argument(help="A feature file, or a folder of parts.", show_default=False, metavar="FEATURES")
]
FeaturesIfAny = Annotated[
    Path | None, typer.Argument(help="A feature file, or a folder of parts.", show_default=False, metavar="FEATURES")
]
NewFeatureFile = Annotated[
    Path, output_option("--output", "-o", metavar="FILE", help="A feature file (.h5).", show_default=False)
]
FollowLinks = Annotated[bool, input_option("--follow-links", help="Follow symbolic links that lead out of a folder.")]
Details = Annotated[
    bool, output_option("--details", help="Print all metrics, such as nats, SSIM and the entropy floor.")
]
Overwrite = Annotated[bool, output_option("--overwrite", help="Replace what is there.")]
AsJson = Annotated[bool, output_option("--json", help="Print JSON.")]
Threads = Annotated[int | None, speed_option("--threads", min=1, help="CPU threads; default: chosen for this machine.")]
Device = Annotated[
    str, speed_option("--device", help="auto, cpu, cuda or mps.", autocompletion=completion.one_of(*completion.DEVICES))
]
Quiet = Annotated[
    int,
    other_option(
        "--quiet",
        "-q",
        count=True,
        metavar="",
        help="One line of summary, warnings and errors, no progress; -qq: no summary either.",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """What folders of frames and still images are."""

    frame_rate: Annotated[
        float | None,
        input_option("--frame-rate", metavar="X", help="Images a second of folders of frames; default: 25."),
    ] = None
    images: Annotated[
        bool, input_option("--images", help="Take each still image as a video of one frame, and no folder as a video.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class SourceOptions(ImageOptions):
    """Which videos to read, and how."""

    videos: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders (searched through, or of numbered images), patterns such as 'clips/**/*.mp4'; - reads "
            "paths from standard input.",
            metavar="VIDEOS",
        ),
    ] = None
    lists: Annotated[
        list[Path] | None, input_option("--list", metavar="FILE", help="A text file with one video path a line.")
    ] = None
    follow_links: FollowLinks = False
    split_folders: Annotated[
        bool,
        input_option(
            "--split-folders/--no-split-folders", help="Folders named train, val and test are splits, not classes."
        ),
    ] = True
    class_folders: Annotated[
        bool,
        input_option("--class-folders/--no-class-folders", help="The name of a video's folder is its label."),
    ] = True
    all_labels: Annotated[
        bool,
        input_option("--all-labels", help="Folders named unlabeled, unknown, _NAME and the like are classes too."),
    ] = False
    video_stream: Annotated[
        int | None,
        input_option("--video-stream", min=0, help="Which video stream of each file, from 0; default: the best one."),
    ] = None

    def find(self) -> "list[VideoSource]":
        """Return the videos; raises ConfigError if none are named, InputError for what is not there."""
        from vidrep.errors import ConfigError
        from vidrep.video.sources import find_videos

        if not self.videos and not self.lists:
            raise ConfigError("no videos given: name files, folders or patterns, or --list FILE")
        return find_videos(
            self.videos or [],
            list_files=self.lists or [],
            follow_links=self.follow_links,
            images=self.images,
            frame_rate=self.frame_rate,
            split_folders=self.split_folders,
            class_folders=self.class_folders,
            all_labels=self.all_labels,
        )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Which frames of a video to keep."""

    fps: Annotated[float | None, sampling_option("--fps", help="Keep at most so many frames a second.")] = None
    every: Annotated[int, sampling_option("--every", help="Keep one frame in so many.")] = 1
    max_frames: Annotated[
        int | None, sampling_option("--max-frames", help="Keep at most so many frames of a video.")
    ] = None
    start: Annotated[
        float | None, sampling_option("--start", metavar="SECONDS", help="Leave out the frames before this time.")
    ] = None
    end: Annotated[
        float | None, sampling_option("--end", metavar="SECONDS", help="Leave out the frames from this time on.")
    ] = None

    def build(self) -> "Sampling":
        """Return the sampling; raises ConfigError for values that cannot be."""
        from vidrep.video.sampling import Sampling

        return Sampling(fps=self.fps, every=self.every, max_frames=self.max_frames, start=self.start, end=self.end)


@dataclass(frozen=True, kw_only=True)
class AnnotationOptions:
    """Labels, splits and groups that take the place of those in the videos' folders or in the features."""

    labels: Annotated[
        list[Path] | None,
        labels_option(
            "--labels",
            metavar="FILE",
            help="CSV of video,label[,split][,group], or the lists of a data set; overrides what is there.",
        ),
    ] = None
    splits: Annotated[
        Path | None,
        labels_option(
            "--splits",
            metavar="FOLDER",
            help="Lists, such as UCF-101's or HMDB-51's, from which all splits come; labels too.",
        ),
    ] = None
    split_number: Annotated[
        int, labels_option("--split-number", min=1, help="Which of a data set's official splits.")
    ] = 1
    labels_extend: Annotated[
        bool,
        labels_option(
            "--labels-extend",
            help="Videos that --labels and --splits do not list keep the labels, splits and groups that they have.",
        ),
    ] = False

    def given(self) -> dict[str, Any]:
        """Return the options that are not at their defaults, by name, with paths as text: JSON-like."""
        values = {one.name: (getattr(self, one.name), one.default) for one in fields(self)}
        return {
            name: [str(path) for path in value] if name == "labels" else str(value) if name == "splits" else value
            for name, (value, default) in values.items()
            if value != default
        }

    def or_those_of(self, start: "Start | None") -> Self:
        """Return the options with those that a run began with in place of what is not given."""
        began_with = {} if start is None else start.options
        names = {one.name for one in fields(self)} & began_with.keys() - self.given().keys()
        taken: dict[str, Any] = {name: began_with[name] for name in names}
        if "labels" in taken:
            taken["labels"] = [Path(path) for path in taken["labels"]]
        if "splits" in taken:
            taken["splits"] = Path(taken["splits"])
        return replace(self, **taken)

    def read(self) -> "Mapping[str, Annotation]":
        """Return the annotations by video; raises LabelError or InputError for files that cannot be used."""
        from vidrep.features.annotation_files import read_annotations

        return read_annotations(
            labels=self.labels, splits=self.splits, number=self.split_number, extend=self.labels_extend
        )


@dataclass(frozen=True, kw_only=True)
class GroupedAnnotationOptions(AnnotationOptions):
    """Labels and splits, and groups for the commands that make splits or respect them."""

    group: Annotated[
        str | None,
        labels_option(
            "--group",
            metavar="REGEX",
            help="What a split must not divide, such as a person: the part of a video's key that this matches.",
        ),
    ] = None
    group_blocks: Annotated[
        int | None,
        labels_option(
            "--group-blocks",
            min=1,
            help="In place of --group: so many neighbors of a label, by the last number in the file name, are a group.",
        ),
    ] = None

    @property
    def are_given(self) -> bool:
        """Whether there is any."""
        return any(one is not None for one in (self.labels, self.splits, self.group, self.group_blocks))


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """Annotations with time."""

    segments: Annotated[
        list[Path] | None,
        labels_option(
            "--annotations",
            metavar="FILE",
            help="In place of labels of whole videos, what happens when: a CSV of video,start,end,label, or a file, or "
            "folder of files, of BORIS, ELAN, ActivityNet and others.",
        ),
    ] = None
    annotation_rate: Annotated[
        float | None,
        labels_option(
            "--annotation-rate",
            metavar="X",
            help="Frames a second of annotations that number frames; default: by the times of the features.",
        ),
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the options that are given, by name, with paths as text: JSON-like."""
        found: dict[str, Any] = {}
        if self.segments:
            found["annotations"] = [str(path) for path in self.segments]
        if self.annotation_rate is not None:
            found["annotation_rate"] = self.annotation_rate
        return found

    def or_those_of(self, start: "Start | None") -> Self:
        """Return the options with those that a run began with in place of what is not given."""
        if start is None or self.segments:
            return self
        began_with = start.options
        return replace(
            self,
            segments=[Path(path) for path in began_with.get("annotations", [])] or None,
            annotation_rate=began_with.get("annotation_rate"),
        )

    def read(self, features: "OpenFeatures") -> "Annotations":
        """Read the annotations of the videos in features; raises LabelError or InputError for what cannot be used."""
        from vidrep.segments.frame_clock import clock_of
        from vidrep.segments.reading import read_segments

        return read_segments(self.segments or [], frame_clock=clock_of(features, self.annotation_rate))


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """A recipe, and changes to it."""

    recipe: Annotated[
        str | None,
        training_option(
            "--recipe",
            metavar="NAME|FILE",
            help="A shipped recipe, or a TOML file; default: the built-in settings.",
            autocompletion=completion.recipes,
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        training_option(
            "--set", metavar="KEY=VALUE", help="Change a setting of the recipe, such as encoder.hidden_size=1024."
        ),
    ] = None
    steps: Annotated[
        int | None, training_option("--steps", min=1, help="Optimizer steps; short for --set training.steps=N.")
    ] = None
    batch_size: Annotated[
        int | None, training_option("--batch-size", min=1, help="Windows a step; training.batch_size.")
    ] = None
    seed: Annotated[
        int | None, training_option("--seed", min=0, help="Seed of weights, order and dropout; training.seed.")
    ] = None
    ensemble: Annotated[
        int | None,
        training_option("--ensemble", min=1, help="Models that are trained and used as one run; training.ensemble."),
    ] = None

    def build(
        self, config_class: "type[Config]", run: "RunOptions", continued: Path | None = None, **changes: Any
    ) -> "Config":
        """Read the recipe and change it; `changes` are further ones. A run that goes on has its own settings.

        continued: a run whose settings take the place of the defaults.

        Raises ConfigError for what cannot be, and for a setting that two options change.
        """
        from vidrep.config.reader import load_recipe
        from vidrep.training.resuming import recorded_settings

        changes = {**self._changes(), **changes}
        if run.resume:
            return recorded_settings(config_class, run.output, self.recipe, changes=changes)
        if continued is not None and self.recipe is None:
            return recorded_settings(config_class, continued, changes=changes)
        return load_recipe(config_class, self.recipe, changes=changes)

    def _changes(self) -> dict[str, Any]:
        from vidrep.config.reader import parse_change
        from vidrep.errors import ConfigError

        changes = dict(parse_change(text) for text in self.settings or [])
        for name in ("steps", "batch_size", "seed", "ensemble"):
            value = getattr(self, name)
            if value is None:
                continue
            if f"training.{name}" in changes:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option} {value} and --set training.{name}=...: give one of the two")
            changes[f"training.{name}"] = value
        return changes


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a training writes."""

    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="The run folder.", show_default=False)
    ]
    resume: Annotated[
        bool,
        output_option(
            "--resume", help="Continue from the run's checkpoint, with its features and settings; --steps may be more."
        ),
    ] = False
    overwrite: Overwrite = False

    def first_start(self) -> "Start | None":
        """Return how the run began, if it is to go on and has recorded that."""
        from vidrep.training.resuming import first_start

        return first_start(self.output) if self.resume else None


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """What a training computes with."""

    device: Device = "auto"
    precision: Annotated[
        str | None,
        speed_option(
            "--precision",
            help="Of matrix products: auto (bf16 where it is native), fp32, tf32 (CUDA), bf16; default: the recipe's.",
            autocompletion=completion.one_of(*completion.PRECISIONS),
        ),
    ] = None
    threads: Threads = None


def _load_plugins(modules: Sequence[str] | None) -> Sequence[str] | None:
    from vidrep.plugins import load_plugins

    load_plugins(modules or [])
    return modules


@dataclass(frozen=True, kw_only=True)
class PluginOptions:
    """Modules that register what a plug-in brings; they are loaded before any other option is read."""

    plugins: Annotated[
        list[str] | None,
        other_option(
            "--plugin",
            metavar="MODULE",
            help="Load a module, or a .py file, that registers extractors, cells, objectives, heads or transforms.",
            callback=_load_plugins,
            is_eager=True,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class CommonOptions(PluginOptions):
    """Options of nearly every command: plug-ins, and how much to print."""

    quiet: Quiet = 0
