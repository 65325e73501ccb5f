"""Where an extraction's output lies: what of it is there already, and how the new takes its place."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import FeatureFileError, OutputError, some_names
from ..features.failures import failures_path
from ..features.store import SUFFIXES, Features, Settings, open_features, require_same_settings
from ..features.table import VideoRow
from ..features.writer import write_merged
from ..files import remove, remove_leftovers
from .parts import find_parts, remove_parts


class Place:
    """Where an extraction's output, its parts and its list of failures lie.

    start_over: what is there already does not count; it goes only once there is something to put in its place.
    """

    def __init__(self, output: Path, *, start_over: bool) -> None:
        self.output = output
        self._merges = output.suffix in SUFFIXES
        self.parts = output.with_name(output.name + ".parts") if self._merges else output
        self.failures = failures_path(output)
        if self._merges and output.is_dir():
            raise OutputError(f"{output} is a folder; give a file name that ends in .h5, or a folder's name without it")
        if not self._merges and output.is_file():
            raise OutputError(
                f"{output} is a file; a feature file's name ends in .h5, any other name is a folder of parts"
            )
        parts_there = find_parts(self.parts)
        self._require_own_folder(parts_there)
        self._forgotten = [self.output, *parts_there] if start_over else []

    def sweep(self) -> None:
        """Remove what a killed process left half written; to be called by the one process that holds the lock."""
        for path in (self.output, self.failures):
            remove_leftovers(path)

    def _require_own_folder(self, parts_there: Sequence[Path]) -> None:
        if not self.parts.is_dir():
            return
        visible = {file for file in self.parts.iterdir() if not file.name.startswith(".")}
        others = sorted(file.name for file in visible - {*parts_there, self.failures})
        if others:
            raise OutputError(
                f"the folder {self.parts} holds other things than parts ({some_names(others)}); "
                "give a new folder, or a file name that ends in .h5"
            )

    def _opened(self) -> list[Features]:
        """Open what is there and counts: the published file, then the parts, which are newer than it."""
        published = [self.output] if self._merges and self.output.exists() else []
        paths = [path for path in (*published, *find_parts(self.parts)) if path not in self._forgotten]
        return [open_features(path) for path in paths]

    def done(self, settings: Settings) -> dict[str, VideoRow]:
        """Return the rows of the videos that are there, by key.

        Raises OutputError if they were made with other settings, or cannot be read.
        """
        try:
            opened = self._opened()
        except FeatureFileError as error:
            raise OutputError(f"{error}; to make {self.output} anew, give --overwrite or another output") from error
        for features in opened:
            require_same_settings(self.output, features.settings, settings)
        return {row.path: row for features in opened for row in features.videos}

    def publish(
        self,
        names: Mapping[str, tuple[str, str]],
        *,
        without: Collection[str] = (),
        check_stop: Callable[[], None] = lambda: None,
    ) -> Features | None:
        """Make the output of what is there; return it, or None, with nothing changed, if there is no video.

        names: (label, split) by key, laid over the videos'. without: keys of videos to leave out.
        check_stop: called before each video is copied; it may raise, and the output stays as it was.
        """

        def edit(row: VideoRow) -> VideoRow | None:
            if row.path in without:
                return None
            label, split = names.get(row.path, (row.label, row.split))
            return replace(row, label=label, split=split)

        opened = self._opened()
        if not any(edit(row) for features in opened for row in features.videos):
            return None
        changed = [any(edit(row) != row for row in features.videos) for features in opened]
        if not self._merges:
            for features in (features for features, differs in zip(opened, changed, strict=True) if differs):
                if any(edit(row) for row in features.videos):
                    write_merged(features.path, [features], edit=edit, check_stop=check_stop)
                else:
                    remove(features.path)
            for part in self._forgotten:
                if part != self.output:
                    remove(part)
        elif any(changed) or opened[-1].path != self.output:
            write_merged(self.output, opened, edit=edit, check_stop=check_stop)
        if self._merges:
            remove_parts(self.parts)
        return open_features(self.output)

    def tidy(self) -> None:
        """Leave no folder in which nothing is."""
        if not find_parts(self.parts):
            remove_parts(self.parts)
