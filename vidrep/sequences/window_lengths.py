"""How long windows are where no length is given: the rule behind "auto".

If all videos are equally long and not longer than 64 frames, a window is a whole video. Otherwise it has 29 frames for
pretraining and 16 for classification, as in the paper, or as many as nine of ten videos have if those are fewer.
Pretraining windows are divided 16 : 13 into context and future.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..config.settings import FinetuneWindows, PretrainWindows
from ..errors import InputError

_LONGEST_WHOLE_VIDEO = 64
_CONTEXT, _FUTURE, _CLASSIFIED, _RESAMPLED = 16, 13, 16, 10
_GENERATED = 20
# The share of videos that may be too short for a window.
_SHORT_SHARE = 0.1


def fit_length(num_frames: Sequence[int], longest: int) -> int:
    """Return the frames of a window for videos of so many frames each, at most `longest` unless it is a whole video.

    Raises InputError if no video has a frame.
    """
    lengths = np.array([length for length in num_frames if length > 0])
    if not len(lengths):
        raise InputError("no video has a frame")
    if lengths.min() == lengths.max() <= _LONGEST_WHOLE_VIDEO:
        return int(lengths[0])
    return min(longest, int(np.sort(lengths)[int(_SHORT_SHARE * len(lengths))]))


def fit_pretrain_windows(
    windows: PretrainWindows, num_frames: Sequence[int] | None, *, needs_context: bool = True, needs_future: bool
) -> PretrainWindows:
    """Return windows without "auto" for videos of so many frames each; None is for generated sequences.

    needs_context: whether an objective reads windows; otherwise they have no frame. needs_future: whether one needs
    frames after the context; otherwise there are none.
    """
    context, future = windows.context, windows.num_future
    if context == "auto" and not needs_context:
        context = 0
    if future == "auto" and not needs_future:
        future = 0
    if context == "auto" or future == "auto":
        length = _GENERATED if num_frames is None else fit_length(num_frames, _CONTEXT + _FUTURE)
        context, future = _divided(length, context, future, is_generated=num_frames is None)
    stride = windows.stride
    if stride == "auto":
        stride = context if windows.stateful else max(1, context // 2)
    return replace(windows, context=context, num_future=future, stride=stride)


def _divided(length: int, context: int | str, future: int | str, *, is_generated: bool) -> tuple[int, int]:
    """Divide a window; what is given stays."""
    if isinstance(context, int):
        return context, max(1, length - context if length > context else round(context * _FUTURE / _CONTEXT))
    if isinstance(future, int):
        return max(1, length - future), future
    context = length // 2 if is_generated else round(length * _CONTEXT / (_CONTEXT + _FUTURE))
    context = min(max(1, context), length - 1) or 1
    return context, max(1, length - context)


def fit_finetune_windows(windows: FinetuneWindows, num_frames: Sequence[int]) -> FinetuneWindows:
    """Return windows without "auto" for videos of so many frames each; clips are resampled to 10 frames."""
    if windows.resample is True:
        length = _RESAMPLED if windows.length == "auto" else windows.length
        return replace(windows, length=length, stride=length)
    length = fit_length(num_frames, _CLASSIFIED) if windows.length == "auto" else windows.length
    stride = max(1, length // 2) if windows.stride == "auto" else windows.stride
    return replace(windows, length=length, stride=stride, resample=False)
