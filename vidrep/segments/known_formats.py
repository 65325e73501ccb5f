"""All formats of annotations with time, in the order in which a file's content is compared with them."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError, LabelError, nearest_names
from ..video.named_paths import quoted
from .formats.activitynet import ACTIVITYNET
from .formats.audacity import AUDACITY
from .formats.boris_aggregated import BORIS_AGGREGATED
from .formats.boris_tabular import BORIS_TABULAR
from .formats.csv_table import CSV, TSV
from .formats.elan import ELAN
from .formats.elan_text import ELAN_TEXT
from .formats.per_frame import DEEPETHOGRAM, SIMBA
from .formats.source import Format, Source
from .formats.subrip import SUBRIP
from .formats.webvtt import WEBVTT

FORMATS: Sequence[Format] = (
    *(ACTIVITYNET, ELAN, WEBVTT, SUBRIP, BORIS_AGGREGATED, BORIS_TABULAR, CSV, TSV, ELAN_TEXT, AUDACITY),
    *(DEEPETHOGRAM, SIMBA),
)
# Of several formats whose files end alike, the one that an ending alone stands for.
_BY_ENDING = {one.ending: one for one in (CSV, TSV, ACTIVITYNET, ELAN, AUDACITY, SUBRIP, WEBVTT)}


def format_of(source: Source) -> Format:
    """Return the format of a file, by its content; LabelError if it is none of them."""
    for one in FORMATS:
        if one.matches(source):
            return one
    first = source.first_lines[0].strip()[:60] if source.first_lines else ""
    raise LabelError(
        f"{quoted(source.path)}: no annotations with time that are recognized"
        + (f", it begins with {first!r}" if first else ", it is empty")
        + "; write a table with the columns video,start,end,label, or one of these formats: "
        + ", ".join(one.name for one in FORMATS)
    )


def format_named(name: str) -> Format:
    """Return a format by its name; ConfigError if there is none of that name."""
    by_name = {one.name: one for one in FORMATS}
    if name not in by_name:
        hint = nearest_names(name, by_name)
        raise ConfigError(f"unknown format {name!r}; {hint or 'known are ' + ', '.join(by_name)}")
    return by_name[name]


def format_for(path: Path) -> Format:
    """Return the format of a file that is to be written, by the ending of its name; ConfigError if none has it."""
    if path.suffix.casefold() in _BY_ENDING:
        return _BY_ENDING[path.suffix.casefold()]
    raise ConfigError(
        f"{quoted(path)}: its ending names no format; give --format, one of {', '.join(one.name for one in FORMATS)}, "
        f"or a name that ends in {', '.join(sorted(_BY_ENDING))}"
    )
