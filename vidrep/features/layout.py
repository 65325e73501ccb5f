"""An HDF5 file without its rows: HDF5 lays out the file in memory, and FeatureWriter writes the rows to their places.

HDF5's own errors of a full disk are vague, and may come as late as the interpreter's exit. So HDF5 never touches the
disk: what it writes besides rows, which is little, stays in memory until the file is complete.
"""

import os
from collections.abc import Iterator, Sequence


class Layout:
    """A file for `h5py.File(layout, "w")` that keeps the pieces written to it, with zeros between them.

    num_bytes: the size of the whole file, with the places of the rows.
    """

    def __init__(self) -> None:
        self._written: list[tuple[int, bytes]] = []
        self._position = self.num_bytes = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset, counted from the beginning or, as h5py does to get the size, from the end."""
        self._position = offset + (self.num_bytes if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        """Return the current offset."""
        return self._position

    def write(self, content: memoryview) -> int:
        """Keep a piece at the current offset."""
        self._written.append((self._position, bytes(content)))
        self._position += len(content)
        self.num_bytes = max(self.num_bytes, self._position)
        return len(content)

    def read(self, num_bytes: int) -> bytes:
        """Return the next bytes as they were last written."""
        found = _content(self._written, self._position, self._position + num_bytes)
        self._position += num_bytes
        return found

    def truncate(self, num_bytes: int) -> int:
        """Set the file's size."""
        self.num_bytes = num_bytes
        return num_bytes

    def flush(self) -> None:
        """Do nothing: the pieces are in memory."""

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, content) of what was written, in the order of the file; adjacent pieces are joined."""
        adjacent: list[int] = []
        stop = 0
        for number in sorted(range(len(self._written)), key=lambda number: self._written[number][0]):
            offset, piece = self._written[number]
            if adjacent and offset > stop:
                yield self._joined(adjacent)
                adjacent = []
            adjacent.append(number)
            stop = max(stop, offset + len(piece))
        if adjacent:
            yield self._joined(adjacent)

    def _joined(self, numbers: list[int]) -> tuple[int, bytes]:
        """Return (offset, content) of adjacent pieces, the first of which is first in the file."""
        written = [self._written[number] for number in sorted(numbers)]
        start, stop = self._written[numbers[0]][0], max(offset + len(piece) for offset, piece in written)
        return start, _content(written, start, stop)


def _content(written: Sequence[tuple[int, bytes]], start: int, stop: int) -> bytes:
    """Return the bytes of a file from `start` until `stop`, as pieces were written one after the other."""
    content = bytearray(stop - start)
    for offset, piece in written:
        first, last = max(start, offset), min(stop, offset + len(piece))
        if first < last:
            content[first - start : last - start] = piece[first - offset : last - offset]
    return bytes(content)
