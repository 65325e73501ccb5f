"""A batch of windows, as batches are made and as models read them.

Shapes: T time, B batch, D values of a stored frame.
"""

from typing import NamedTuple

from torch import Tensor

from ..shapes import repr_with_shapes


class WindowBatch(NamedTuple):
    """A batch of windows, with what objectives may need.

    frames (T, B, D): stored, as in the feature file. valid (T, B) bool: which of them are frames rather than padding,
    None if all are. is_first (B,) bool: whether a window is the first of its video, None if nothing is carried from
    window to window. video, group, classes (B,) int64: numbers of the windows' videos, of what must not be divided by a
    split, and of their labels; None where there are none. num_valid: valid frames of a window, on average over the
    whole batch of a step, a scalar; None if all are. targets (T, B) or (T, B, K) int64, num_known: what frames are to
    be taken for, see `FrameTargets`, and how many of a window's are known, on average over the whole batch, a scalar;
    None where none are. views (T', B, 2, D): two views of a clip of each window's video,
    float32 in original units; None if no objective compares views.
    """

    frames: Tensor
    valid: Tensor | None = None
    is_first: Tensor | None = None
    video: Tensor | None = None
    group: Tensor | None = None
    classes: Tensor | None = None
    num_valid: Tensor | None = None
    targets: Tensor | None = None
    num_known: Tensor | None = None
    views: Tensor | None = None

    def __repr__(self) -> str:
        return repr_with_shapes(self)

    def windows(self, chosen: slice) -> "WindowBatch":
        """Return some windows of the batch; `num_valid` and `num_known` stay those of the whole."""
        per_window = ("is_first", "video", "group", "classes")
        columns = {name: getattr(self, name) for name in per_window}
        return self._replace(
            frames=self.frames[:, chosen],
            valid=None if self.valid is None else self.valid[:, chosen],
            targets=None if self.targets is None else self.targets[:, chosen],
            views=None if self.views is None else self.views[:, chosen],
            **{name: None if column is None else column[chosen] for name, column in columns.items()},
        )
