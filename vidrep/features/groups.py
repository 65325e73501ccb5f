"""Groups: videos that a split must not divide, such as those of one person, one recording or one source."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigError, LabelError, some_names
from ..names import composed
from .keys import without_extension
from .table import VideoRow

_log = logging.getLogger(__name__)
_UCF101_NAME = re.compile(r"v_(\w+_g\d+)_c\d+")
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class GroupRule:
    """How groups are made of videos' keys; of neither field, they are not.

    pattern: a regular expression, see `groups_by_pattern`. blocks: how many neighbors by number are a group, see
    `groups_by_number`.

    Raises ConfigError for both, and for blocks of less than one number.
    """

    pattern: str | None = None
    blocks: int | None = None

    def __post_init__(self) -> None:
        if self.pattern is not None and self.blocks is not None:
            raise ConfigError("groups by a pattern (--group) and by blocks (--group-blocks): give one of the two")
        if self.blocks is not None and self.blocks < 1:
            raise ConfigError(f"groups of {self.blocks} numbers (--group-blocks): give 1 or more")

    @property
    def is_given(self) -> bool:
        """Whether there is a rule."""
        return self != NO_RULE

    @property
    def recorded(self) -> dict[str, str | int]:
        """What a run's config.toml holds of it: {"pattern": text}, {"blocks": N}, or nothing."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_recorded(cls, values: Mapping[str, object]) -> "GroupRule":
        """Read what a run's config.toml holds; raises TypeError or ConfigError for what cannot be."""
        pattern, blocks = values.get("pattern"), values.get("blocks")
        if not isinstance(pattern, str | None) or not isinstance(blocks, int | None):
            raise TypeError(f"groups.pattern is {pattern!r} and groups.blocks {blocks!r}; a text and a number")
        return cls(pattern, blocks)

    def groups_of(self, keys: Sequence[str], labels: Sequence[str]) -> list[str]:
        """Return the group of each of some videos, '' for one that the rule gives none.

        Raises what groups_by_pattern and groups_by_number raise.
        """
        if self.pattern is not None:
            return groups_by_pattern(keys, self.pattern)
        return [""] * len(keys) if self.blocks is None else groups_by_number(keys, labels, self.blocks)

    def fill_in(self, groups: Sequence[str], keys: Sequence[str], labels: Sequence[str]) -> list[str]:
        """Return the groups of some videos, those that are '' by the rule; raises what `groups_of` raises."""
        without = [index for index, group in enumerate(groups) if not group]
        found = self.groups_of([keys[index] for index in without], [labels[index] for index in without])
        by_rule = dict(zip(without, found, strict=True))
        return [by_rule.get(index, group) for index, group in enumerate(groups)]


NO_RULE = GroupRule()


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


def _matched(pattern: re.Pattern[str], key: str) -> str:
    match = pattern.search(key)
    return (match[1 if pattern.groups else 0] or "") if match else ""


def groups_by_number(keys: Sequence[str], labels: Sequence[str], size: int) -> list[str]:
    """Return the group of each video: those of one label whose numbers are in one block of `size` numbers.

    A video's number is the last one in its file name, without the extension: 12 of "serve/match3_clip012.mp4". Blocks
    count from 1, or from 0 where a video of the label has the number 0: of size 10, "serve 1-10", "serve 11-20". Which
    other numbers are there does not matter, so that a video that is added or removed moves no other one.

    labels: '' is the label of those without one. A video without a number has the group ''; that is logged.

    Raises LabelError, naming the first key, if there are keys and none has a number.
    """
    numbers = [_number_of(key) for key in keys]
    without = [key for key, number in zip(keys, numbers, strict=True) if number is None]
    if keys and len(without) == len(keys):
        raise LabelError(
            f"groups of {size} numbers: no file name has a number, first {keys[0]!r}; give --group REGEX, or name "
            "groups in a column 'group' of --labels"
        )
    if without:
        _log.warning(
            "%d videos have no number in their file name, and are in no block: %s", len(without), some_names(without)
        )
    from_zero = {label for label, number in zip(labels, numbers, strict=True) if number == 0}
    groups = []
    for label, number in zip(labels, numbers, strict=True):
        if number is None:
            groups.append("")
            continue
        offset = 0 if label in from_zero else 1
        first = (number - offset) // size * size + offset
        groups.append(f"{label} {first}-{first + size - 1}".lstrip())
    return groups


def _number_of(key: str) -> int | None:
    found = _NUMBER.findall(without_extension(key).rpartition("/")[2])
    return int(found[-1]) if found else None


def recording_of(name: str) -> str | None:
    """Return the recording of a video of UCF-101 by its name: "Archery_g08" of ".../v_Archery_g08_c01.avi".

    Its recordings are cut into clips that share a background and often a person.
    """
    match = _UCF101_NAME.match(name.replace("\\", "/").rpartition("/")[2])
    return match[1] if match else None


def choose_groups(
    videos: Sequence[VideoRow],
    annotated: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
    rule: GroupRule = NO_RULE,
) -> list[str]:
    """Return the group of each video; none is ''.

    Annotations come first, then the rule, the file's column, the recording in a name of UCF-101, and last the source
    video: its SHA-256, or without one its key, so that the crops of a video, and copies of it, are one group.

    annotated: the groups that annotations name, '' where they name none. labels: of each video, None for the file's.

    Raises what GroupRule.groups_of raises. A pattern need not match videos whose group is annotated.
    """
    named = [row.label for row in videos] if labels is None else labels
    groups = rule.fill_in(annotated, [row.source_key for row in videos], named)
    return [
        group or row.group or recording_of(row.source_key) or row.source_sha256 or row.source_key
        for group, row in zip(groups, videos, strict=True)
    ]
