"""One video's values in a file of its own: .npy by rows or by columns, or HDF5; written block by block.

Shapes: T frames, C values of a frame.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..files import NewFile, writing_file
from .layout import Layout
from .store import Features
from .writer import place_rows


def _blocks(features: Features, video: int, dtype: np.dtype[Any]) -> Iterator[memoryview]:
    """Yield a video's values, (n, C) each, as bytes."""
    for values, _ in features.blocks(video):
        yield np.ascontiguousarray(values, dtype=dtype).reshape(-1).view(np.uint8).data


@contextmanager
def writing_npy(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, columns_first: bool = False
) -> Iterator[tuple[NewFile, int]]:
    """Give a new .npy file with its header written, and where its values begin."""
    header = io.BytesIO()
    described = {"descr": dtype.str, "fortran_order": columns_first, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    start = header.tell()
    with writing_file(path, num_bytes=start + math.prod(shape) * dtype.itemsize) as file:
        file.write_at(header.getvalue(), 0)
        yield file, start


def write_rows(path: Path, features: Features, video: int, dtype: np.dtype[Any]) -> None:
    """Write (T, C)."""
    _write_npy(path, features, video, dtype, is_transposed=False)


def write_columns(path: Path, features: Features, video: int, dtype: np.dtype[Any]) -> None:
    """Write (C, T), in the order of columns, which are the rows as they come."""
    _write_npy(path, features, video, dtype, is_transposed=True)


def _write_npy(path: Path, features: Features, video: int, dtype: np.dtype[Any], *, is_transposed: bool) -> None:
    rows = (features.videos[video].length, features.frame_size)
    shape = rows[::-1] if is_transposed else rows
    with writing_npy(path, shape, dtype, columns_first=is_transposed) as (file, offset):
        _write_blocks(file, offset, _blocks(features, video, dtype))


def _write_blocks(file: NewFile, offset: int, blocks: Iterator[memoryview]) -> None:
    for block in blocks:
        file.write_at(block, offset)
        offset += len(block)


def write_times(path: Path, features: Features, video: int) -> None:
    """Write (T,) float64 seconds."""
    seconds = np.ascontiguousarray(features.timestamps(video), dtype="<f8")
    with writing_npy(path, seconds.shape, seconds.dtype) as (file, offset):
        file.write_at(seconds.view(np.uint8).data, offset)


def write_cbas(path: Path, features: Features, video: int, dtype: np.dtype[Any]) -> None:
    """Write HDF5 with an array `cls`, (T, C); HDF5 lays it out in memory, see `layout`."""
    shape = (features.videos[video].length, features.frame_size)
    layout = Layout()
    with h5py.File(layout, "w", libver=("earliest", "v110")) as described:
        offset = place_rows(described, "cls", shape, dtype)
    with writing_file(path, num_bytes=layout.num_bytes) as file:
        _write_blocks(file, offset, _blocks(features, video, dtype))
        for place, piece in layout.pieces():
            file.write_at(piece, place)
        file.resize(layout.num_bytes)
