"""An extraction's output on disk: what of it is there already, and how the new part replaces the old."""

from collections.abc import Callable
from pathlib import Path

from ..errors import FeatureFileError, FileInUseError, OutputError, some_names
from ..features.failures import failures_path
from ..features.parts_folder import find_parts
from ..features.settings import Settings, require_same_settings, settings_difference
from ..features.store import SUFFIXES, VERSION, Features, open_features
from ..features.table import VideoRow
from ..features.writer import write_merged
from ..files import remove, remove_leftovers, rename_folder
from .parts import remove_parts


class ExtractionOutput:
    """Where an extraction's output, its parts and its list of failures lie.

    start_over: ignore what is there already. New parts gather in a hidden folder beside it, where the same command
        finds them again, and replace the output at the end. (For a file: the merged file replaces the old one. For a
        folder: the folder of new parts is renamed.)

    Raises OutputError if the output is of the wrong kind.
    """

    def __init__(self, output: Path, *, start_over: bool) -> None:
        self.output = output
        self._merges, self._starts_over = output.suffix in SUFFIXES, start_over
        if self._merges and output.is_dir():
            raise OutputError(f"{output} is a folder; give a file name that ends in .h5, or a folder's name without it")
        if not self._merges and output.is_file():
            raise OutputError(
                f"{output} is a file; a feature file's name ends in .h5, any other name is a folder of parts"
            )
        if output.suffix == ".parts" and output.with_suffix("").suffix in SUFFIXES:
            raise OutputError(f"{output} is where the parts of {output.with_suffix('')} lie; give -o for that file")
        self._old_parts = output.with_name(output.name + ".parts") if self._merges else output
        self.parts = output.with_name(f".{output.name}.anew") if start_over else self._old_parts
        self._aside = output.with_name(f".{output.name}.old")
        self.failures = failures_path(output)
        self._was_there = self.parts.is_dir()
        self._require_own_folder()

    def _require_own_folder(self) -> None:
        if not self._old_parts.is_dir():
            return
        visible = {file for file in self._old_parts.iterdir() if not file.name.startswith(".")}
        others = sorted(file.name for file in visible - {*find_parts(self._old_parts), self.failures})
        if others:
            raise OutputError(
                f"the folder {self._old_parts} holds other things than parts ({some_names(others)}); "
                "give a new folder, or a file name that ends in .h5"
            )

    def recover(self) -> None:
        """Remove what a killed process left half written, and finish a renaming that it began.

        Only the process that holds the lock may call it.
        """
        for path in (self.output, self.failures):
            remove_leftovers(path)
        if self._aside.is_dir():
            if self.output.exists():
                _remove_folder_of_parts(self._aside)
            else:
                rename_folder(self._aside, self.output)

    def _opened(self) -> list[Features]:
        """Open what is there and counts: the published file, then the parts, which are newer than it.

        Raises OutputError if another program has one of them open for writing.
        """
        published = [self.output] if self._merges and not self._starts_over and self.output.exists() else []
        try:
            return [open_features(path, as_stored=True) for path in (*published, *find_parts(self.parts))]
        except FileInUseError as error:
            raise OutputError(f"{error}; what is finished is kept") from error

    def rows(self, settings: Settings) -> list[VideoRow]:
        """Return the rows of the videos that are there, as they are stored, the oldest first.

        Raises OutputError if they were made with other settings, or cannot be read.
        """
        try:
            opened = self._opened()
        except FeatureFileError as error:
            raise OutputError(f"{error}; to make {self.output} anew, give --overwrite or another output") from error
        if self._starts_over and any(settings_difference(features.settings, settings) for features in opened):
            remove_parts(self.parts)  # of another attempt to start over
            return []
        for features in opened:
            require_same_settings(self.output, features.settings, settings)
        return [row for features in opened for row in features.videos]

    def publish(
        self,
        edit: Callable[[VideoRow], VideoRow | None],
        *,
        settings: Settings,
        check_stop: Callable[[], None] = lambda: None,
    ) -> Features | None:
        """Make the output of what is there; return it, or None, with nothing changed, if no video is to be used.

        Files of an older version of the format are rewritten.

        edit: returns a row as it is to be; None leaves it out. settings: to record.
        check_stop: called now and then while rows are copied; it may raise, and the output stays as it was.
        """
        opened = self._opened()
        after = [edit(row) for features in opened for row in features.videos]
        if not any(row is not None and not row.missing for row in after):
            return None
        changed = [
            features.format_version < VERSION or any(edit(row) != row for row in features.videos) for features in opened
        ]
        if self._merges:
            if any(changed) or opened[-1].path != self.output:
                if self._starts_over:  # before the merge: a kill after it must not leave them, newer than the file
                    remove_parts(self._old_parts)
                write_merged(self.output, opened, settings=settings, edit=edit, check_stop=check_stop)
            remove_parts(self.parts)
            return open_features(self.output)
        for features in (features for features, differs in zip(opened, changed, strict=True) if differs):
            if any(edit(row) for row in features.videos):
                write_merged(features.path, [features], settings=settings, edit=edit, check_stop=check_stop)
            else:
                remove(features.path)
        if self._starts_over:
            self._swap_folders()
        return open_features(self.output)

    def _swap_folders(self) -> None:
        """Replace the old folder by that of the new parts; after a kill in between, `recover` finishes it."""
        if self.output.is_dir():
            rename_folder(self.output, self._aside)
        rename_folder(self.parts, self.output)
        _remove_folder_of_parts(self._aside)

    def cleanup(self) -> None:
        """Remove the folder of parts if this extraction made it and it is empty."""
        if not self._was_there and not find_parts(self.parts):
            remove_parts(self.parts)


def _remove_folder_of_parts(folder: Path) -> None:
    if folder.is_dir():
        failures = failures_path(folder)
        if failures.exists():
            remove(failures)
        remove_parts(folder)
