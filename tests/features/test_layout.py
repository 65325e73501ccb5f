"""The file in memory behaves like one on disk, and HDF5 leaves the rows' places alone."""

import io
import os
import random

import h5py
import numpy as np

from vidrep.features.layout import Layout
from vidrep.features.writer import place_rows


def test_it_reads_and_sizes_like_a_file() -> None:
    chance, layout, file = random.Random(0), Layout(), io.BytesIO()
    for _ in range(300):
        offset, size = chance.randrange(200), chance.randrange(1, 20)
        for one in (layout, file):
            one.seek(offset)
            one.write(memoryview(bytes([size]) * size))
        offset = chance.randrange(len(file.getvalue()))
        assert layout.seek(0, os.SEEK_END) == file.seek(0, os.SEEK_END) == layout.num_bytes
        for one in (layout, file):
            one.seek(offset)
        assert layout.read(8)[: len(file.getvalue()) - offset] == file.read(8)
    layout.truncate(500)
    assert layout.seek(0, os.SEEK_END) == layout.num_bytes == 500


def test_its_pieces_are_what_was_written_and_touch_nothing_else() -> None:
    layout = Layout()
    for offset, content in [(10, b"aaaa"), (12, b"bbbb"), (40, b"c"), (16, b"d"), (11, b"e"), (30, b"")]:
        layout.seek(offset)
        layout.write(memoryview(content))
    assert [piece for piece in layout.pieces() if piece[1]] == [(10, b"aebbbbd"), (40, b"c")]


def test_rows_have_their_places_and_hdf5_writes_nothing_there() -> None:
    layout = Layout()
    with h5py.File(layout, "w") as file:
        shapes = {"a": (1000, 3), "b": (7,), "none": (0, 5)}
        places = {name: place_rows(file, name, shape, np.dtype("<f4")) for name, shape in shapes.items()}
        file["c"] = np.arange(5000)
        file.attrs["d"] = "text" * 500
    assert places["none"] == 0
    for name in ("a", "b"):
        start, stop = places[name], places[name] + 4 * int(np.prod(shapes[name]))
        assert 0 < start < stop <= layout.num_bytes
        assert all(stop <= offset or offset + len(piece) <= start for offset, piece in layout.pieces())
    assert sum(len(piece) for _, piece in layout.pieces()) < layout.num_bytes - 4 * 3000
