"""What a run predicts, known without importing torch."""

from pathlib import Path

from ..models.description import read_description
from ..models.members import member_folders


def finds_bouts(run: Path | str) -> bool:
    """Return whether a run labels moments rather than whole clips; raises InputError if it is no finished run."""
    return read_description(member_folders(Path(run))[0]).kind == "segmentation"
