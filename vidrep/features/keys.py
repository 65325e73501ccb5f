"""What the keys of videos are made of."""

from ..video.folder_search import VIDEO_EXTENSIONS
from .foreign.formats import SUFFIXES

_DROPPED_EXTENSIONS = VIDEO_EXTENSIONS.union(SUFFIXES)  # not any: "subject.01" is not "subject.02"


def without_extension(key: str) -> str:
    """Return a key without the extension of a video or an array: "run/a" of "run/a.mp4"."""
    folder, slash, last = key.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    return f"{folder}{slash}{stem}" if stem and (dot + extension).lower() in _DROPPED_EXTENSIONS else key
