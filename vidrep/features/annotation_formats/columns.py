"""Columns of a table of videos, and members of a JSON object: which of them means what."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import LabelError
from ..annotations import Annotation
from .entries import checked_split

# Of several columns with one meaning, the first here counts.
VIDEO_COLUMNS = (
    *("video", "path", "file", "filename", "file_name", "filepath", "file_path", "video_path", "video_name"),
    *("vid_name", "clip", "clip_path", "clip_name", "video_id", "youtube_id", "id"),
)
LABEL_COLUMNS = ("label", "class", "class_name", "action", "category")
_MEANINGS: Mapping[str, tuple[str, ...]] = {
    "video": VIDEO_COLUMNS,
    "label": ("template", *LABEL_COLUMNS),
    "split": ("split", "subset"),
    "group": ("group", "person", "subject", "participant", "recording"),
}
TIMES = ("time_start", "time_end")
"""Kinetics' columns of the seconds between which a video was cut out of its source."""
STARTS = frozenset({"start", "start_time", "begin", "begin_time", "onset", "start_(s)", "start_seconds"})
ENDS = frozenset({"end", "end_time", "stop", "stop_time", "offset", "stop_(s)", "end_(s)", "end_seconds"})
"""Columns of when, in a video, a label begins and is over: a table with both has annotations with time."""

_KNOWN = frozenset(name for names in _MEANINGS.values() for name in names)
# A name so much like one that is needed and lacking is a mistake in writing, no column of something else.
_ALIKE = 0.75


def column_name(name: str) -> str:
    """Return a column's name in the form that is compared: "Video Name" as "video_name"."""
    return "_".join(name.casefold().replace("-", " ").split())


def num_known(names: Sequence[str]) -> int:
    """Return how many of the names are those of columns that mean something here."""
    return len({column_name(name) for name in names} & _KNOWN)


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    used: the column of each meaning (video, label, split, group) that is there. left_out: the others, as written.
    """

    used: Mapping[str, str]
    left_out: Sequence[str]

    @classmethod
    def of(cls, names: Sequence[str], place: str) -> "Columns":
        """Recognize columns by their names; LabelError if the video is not among them, or nothing is said of it."""
        known = [column_name(name) for name in names]
        if not STARTS.isdisjoint(known) and not ENDS.isdisjoint(known):
            raise LabelError(
                f"{place}: columns are {','.join(names)}: these labels have a start and an end, and are of parts "
                "of a video; here a video has one label: give finetune --annotations FILE, which learns from times"
            )
        columns = cls.recognized(names, _MEANINGS, place)
        if "video" not in columns.used or len(columns.used) < 2:
            raise LabelError(f"{place}: columns are {','.join(names)}; needed are video and label, split or group")
        return columns

    @classmethod
    def recognized(cls, names: Sequence[str], meanings: Mapping[str, Sequence[str]], place: str) -> "Columns":
        """Recognize columns by their names; LabelError for one that is named twice or is nearly that of a meaning.

        meanings: the names of columns for each meaning; of several that are there, the first counts.
        """
        known = [column_name(name) for name in names]
        named = [name for name in known if name]  # spreadsheets write empty columns, too
        if len(set(named)) < len(named):
            raise LabelError(f"{place}: a column is named twice in {','.join(names)}; name each once")
        used = {
            meaning: next(name for name in candidates if name in known)
            for meaning, candidates in meanings.items()
            if not set(candidates).isdisjoint(known)
        }
        every = {name for candidates in meanings.values() for name in candidates}
        for name in known:
            near = difflib.get_close_matches(name, meanings.keys() - used.keys(), n=1, cutoff=_ALIKE)
            if near and name not in every:
                raise LabelError(f"{place}: unknown column {name!r}; did you mean {near[0]!r}?")
        taken = {*used.values(), *TIMES}
        left_out = [name or "without a name" for name, own in zip(names, known, strict=True) if own not in taken]
        return cls(used, list(dict.fromkeys(left_out)))

    def annotation(self, row: Mapping[str, str], place: str) -> tuple[str, Annotation]:
        """Return what a row, its values by column, gives for its video, and the video's name.

        Kinetics names its videos by id and times: "ID_000084_000094", or "ID" alone.
        """
        values = {meaning: row.get(column) for meaning, column in self.used.items()}
        name = values["video"]
        if not name:
            raise LabelError(f"{place}: no video is named; write its key in the column {self.used['video']!r}")
        split = values.get("split")
        label = values.get("label")
        if label and self.used["label"] == "template":
            label = label.replace("[", "").replace("]", "")
        whole = segment_name(name, *(row.get(time) for time in TIMES))
        return whole, Annotation(
            label,
            None if split is None else checked_split(split, place),
            values.get("group"),
            place=place,
            other_names=() if whole == name else (name,),
        )


def segment_name(video: str, start: str | None, end: str | None) -> str:
    """Return what Kinetics' downloaders call seconds start .. end of a video, "ID_000084_000094"; else its own name."""
    try:
        return f"{video}_{int(float(start or '')):06d}_{int(float(end or '')):06d}"
    except ValueError:
        return video
