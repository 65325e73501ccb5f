"""Groups: videos that a split must not divide, such as those of one person, one recording or one source."""

import re
from collections.abc import Sequence

from ..errors import ConfigError, LabelError
from ..names import composed
from .table import VideoRow

_UCF101_NAME = re.compile(r"v_(\w+_g\d+)_c\d+")


def groups_by_pattern(keys: Sequence[str], pattern: str) -> list[str]:
    r"""Return the group of each key: what a regular expression matches first in it.

    pattern: its first capture group counts if it has one, else the whole match: r"person(\d+)" gives "07" for
        "walk/person07_d1.avi".

    Raises ConfigError for an invalid pattern, LabelError, naming the first key, if it does not match every key.
    """
    try:
        compiled = re.compile(composed(pattern))
    except re.error as error:
        raise ConfigError(
            f"group pattern {pattern!r}: not a regular expression ({error}); give one such as 'person([0-9]+)'"
        ) from error
    groups = [_matched(compiled, key) for key in keys]
    without = [key for key, group in zip(keys, groups, strict=True) if not group]
    if without:
        raise LabelError(
            f"group pattern {pattern!r} finds nothing in {len(without)} of {len(keys)} keys, first in {without[0]!r}; "
            "give one that matches every key, or name groups in a column 'group' of --labels"
        )
    return groups


def with_groups_by_pattern(keys: Sequence[str], groups: Sequence[str], pattern: str) -> list[str]:
    """Return the groups, those that are '' by the pattern; raises what groups_by_pattern raises."""
    found = iter(groups_by_pattern([key for key, group in zip(keys, groups, strict=True) if not group], pattern))
    return [group or next(found) for group in groups]


def _matched(pattern: re.Pattern[str], key: str) -> str:
    match = pattern.search(key)
    return (match[1 if pattern.groups else 0] or "") if match else ""


def recording_of(name: str) -> str | None:
    """Return the recording of a video of UCF-101 by its name: "Archery_g08" of ".../v_Archery_g08_c01.avi".

    Its recordings are cut into clips that share a background and often a person.
    """
    match = _UCF101_NAME.match(name.replace("\\", "/").rpartition("/")[2])
    return match[1] if match else None


def choose_groups(videos: Sequence[VideoRow], annotated: Sequence[str], pattern: str | None = None) -> list[str]:
    """Return the group of each video; none is ''.

    Annotations come first, then the pattern, the file's column, the recording in a name of UCF-101, and last the source
    video: its SHA-256, or without one its key, so that the crops of a video, and copies of it, are one group.

    annotated: the groups that annotations name, '' where they name none.

    Raises what groups_by_pattern raises. The pattern need not match videos whose group is annotated.
    """
    groups = list(annotated)
    if pattern is not None:
        groups = with_groups_by_pattern([row.source_key for row in videos], groups, pattern)
    return [
        group or row.group or recording_of(row.source_key) or row.source_sha256 or row.source_key
        for group, row in zip(groups, videos, strict=True)
    ]
