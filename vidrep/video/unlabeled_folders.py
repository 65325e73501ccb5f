"""Folders whose names say that their videos have no label: "unlabeled", "unlabelled_2024", "unknown", "_new"."""

import re
from collections.abc import Iterable

_NAME = re.compile(r"unlabell?ed(_.*)?|unknown|_.*", re.IGNORECASE | re.DOTALL)


def unlabeled_folder(folders: Iterable[str]) -> str:
    """Return the first of some folder names that says so, '' if none does. Case does not count."""
    return next((name for name in folders if _NAME.fullmatch(name)), "")
