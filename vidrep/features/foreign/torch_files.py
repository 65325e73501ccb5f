""".pt and .pth files of PyTorch: a tensor, or tensors by name. Nothing in them is executed."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FeatureFileError
from .tree import ArrayInfo, ArrayTree

SUFFIXES = frozenset({".pt", ".pth"})
_DEEPEST = 32


def open_tree(path: Path) -> ArrayTree:
    """Open a file of tensors, memory-mapped; raises FeatureFileError if it holds anything else."""
    return _TorchTree(path)


class _TorchTree(ArrayTree):
    """A tensor without a name, or the tensors, numbers and lists of a dictionary, in which others may be nested."""

    def __init__(self, path: Path) -> None:
        self._values: dict[str, Any] = {}
        arrays, unfit = {}, {}
        for name, value in _named(_content(path), set()):
            try:
                array = _array(value)
            except ValueError as error:
                unfit[name] = f"/{name} {error}"
            else:
                self._values[name], arrays[name] = value, ArrayInfo(array.shape, array.dtype)
        super().__init__(path, arrays, unfit)

    def read(self, name: str) -> NDArray[Any]:
        """Return a tensor as an array, bfloat16 as float32."""
        return _array(self._values[name])


def _content(path: Path) -> object:
    import torch  # here, as it takes seconds to import

    try:
        with warnings.catch_warnings(action="ignore"):  # on old formats, and on how long a check may take
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError:  # the format before torch 1.6 cannot be mapped
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of unknown origin can fail in any way; torch's advice is to execute it
        raise FeatureFileError(
            f"{path}: not a file of tensors that can be read safely; save plain tensors with torch.save"
        ) from error


def _named(content: object, visited: set[int], path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the values of nested dictionaries by path; a dictionary that is too deep, or there twice, is a value."""
    if not isinstance(content, Mapping) or id(content) in visited or path.count("/") == _DEEPEST:
        yield path, content
        return
    visited.add(id(content))
    for name, value in content.items():
        yield from _named(value, visited, f"{path}/{name}" if path else str(name))


def _array(value: object) -> NDArray[Any]:
    """Turn a tensor, a number or a list of numbers or texts into an array; raises ValueError for anything else."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.is_quantized or value.device.type != "cpu":
            raise ValueError("is no plain tensor (sparse, quantized or without values)")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError("repeats its values, so that it is larger than the file")
        plain = value.detach().resolve_conj().resolve_neg()
        array: NDArray[Any] = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
        return array
    items = value if isinstance(value, list) else [value]
    if all(isinstance(item, str | int | float) for item in items) and len({type(item) for item in items}) == 1:
        return np.array(value)
    raise ValueError(f"is of type {type(value).__name__}; tensors are read")
