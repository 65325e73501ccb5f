"""The annotations with time that a run was trained with, and the splits and groups that they name."""

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError, LabelError
from ..features.annotations import Annotation
from ..features.store import Features
from ..segments.frame_clock import clock_of
from ..segments.reading import read_segments
from ..segments.segment import Annotations
from ..training.history import read_history

_log = logging.getLogger(__name__)


def segments_of_run(run: Path, features: Features) -> Annotations:
    """Read the annotations that a run was trained with, as they are now.

    Raises LabelError if none are recorded, or they cannot be read any more.
    """
    history = read_history(run)
    options = history[0].options if history else {}
    paths = options.get("annotations", [])
    if not paths:
        raise LabelError(f"{run}: it does not say which annotations it was trained with; give --annotations FILE")
    given = shlex.join([word for path in paths for word in ("--annotations", path)])
    try:
        found = read_segments(paths, frame_clock=clock_of(features, options.get("annotation_rate")))
    except InputError as error:
        raise LabelError(
            f"{run}: the annotations that it was trained with, {given}, cannot be read any more: {error}; give "
            "--annotations FILE"
        ) from error
    _log.info("annotations are those that the run was trained with, %s, as they are now", given)
    return found


def splits_and_groups(annotations: Annotations) -> Mapping[str, Annotation]:
    """Return what annotations with time say of whole videos; {} if that is nothing."""
    groups = {one.video: one.group for one in annotations.segments if one.group}
    named = annotations.splits.keys() | groups.keys()
    return {video: Annotation(None, annotations.splits.get(video), groups.get(video)) for video in sorted(named)}
