"""Which models a folder holds: one, or the members of an ensemble, each in a folder of its own.

ensemble.json        how many members there are; written once all of them are finished
members/1, 2, ...    a run each
"""

import json
from pathlib import Path

from ..errors import InputError
from ..files import write_text

ENSEMBLE_NAME, MEMBERS_FOLDER = "ensemble.json", "members"
_FORMAT, _VERSION = "vidrep-ensemble", 1


def member_folder(folder: Path, number: int) -> Path:
    """Return the folder of a member; the first has the number 1."""
    return folder / MEMBERS_FOLDER / str(number)


def write_members(folder: Path, count: int) -> None:
    """Record that a folder holds so many finished members; raises OutputError if that cannot be written."""
    content = {"format": _FORMAT, "version": _VERSION, "members": count}
    write_text(folder / ENSEMBLE_NAME, json.dumps(content, indent=2) + "\n")


def member_folders(folder: Path) -> list[Path]:
    """Return the folders of the models that a run holds: its own, or those of its members.

    Raises InputError if it is an ensemble that is not finished, or whose ensemble.json cannot be read.
    """
    path = folder / ENSEMBLE_NAME
    if not path.is_file():
        if (folder / MEMBERS_FOLDER).is_dir():
            raise InputError(f"{folder}: its training is not finished; the same command with --resume goes on")
        return [folder]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        count = content["members"]
        if (content["format"], content["version"]) != (_FORMAT, _VERSION) or count < 1 or not isinstance(count, int):
            raise ValueError(f"{content['format']} version {content['version']}, {count} members")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: does not list the members of an ensemble ({error})") from error
    return [member_folder(folder, number) for number in range(1, count + 1)]
