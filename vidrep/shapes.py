"""How results are printed: tensors and arrays by their shapes."""

from typing import Any


def repr_with_shapes(value: Any) -> str:
    """Return a repr with the shapes of tensors, and the values of scalars: "LSTMState(h=(2, 3), c=(2, 3))".

    value: a tensor or an array, or a nest of them in named tuples, tuples, lists and dictionaries.
    """
    if hasattr(value, "shape"):
        is_scalar = value.ndim == 0 and not getattr(value, "is_meta", False)
        return f"{value.item():g}" if is_scalar else str(tuple(value.shape))
    if hasattr(value, "_fields"):
        parts = zip(value._fields, map(repr_with_shapes, value), strict=True)
        return f"{type(value).__name__}({', '.join(f'{name}={part}' for name, part in parts)})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {repr_with_shapes(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        start, end = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
        return f"{start}{', '.join(map(repr_with_shapes, value))}{end}"
    return repr(value)
