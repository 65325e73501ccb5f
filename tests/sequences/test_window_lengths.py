"""The rule of windows "auto"."""

import pytest

from vidrep.config.settings import FinetuneWindows, PretrainWindows
from vidrep.errors import InputError
from vidrep.sequences.window_lengths import fit_finetune_windows, fit_length, fit_pretrain_windows


@pytest.mark.parametrize(
    ("num_frames", "longest", "length"),
    [
        ([20] * 5, 16, 20),  # whole videos
        ([64] * 3, 29, 64),
        ([65] * 3, 29, 29),
        ([1], 29, 1),
        ([8] * 9 + [20], 29, 8),
        ([100] * 9 + [5], 29, 29),  # nine of ten reach it
        ([100] * 8 + [5] * 2, 29, 5),
        ([20] * 9 + [10], 29, 20),
        ([20] * 18 + [12, 11], 29, 20),
        ([20] * 17 + [12, 11, 10], 29, 12),
        ([100] * 9 + [5, 0, 0], 16, 16),  # a video without a frame does not count
    ],
)
def test_a_window_is_a_whole_video_or_as_long_as_nine_of_ten_videos(
    num_frames: list[int], longest: int, length: int
) -> None:
    assert fit_length(num_frames, longest) == length
    positive = [frames for frames in num_frames if frames]
    assert sum(frames >= length for frames in positive) >= 0.9 * len(positive)


def test_without_a_frame_there_is_no_window() -> None:
    with pytest.raises(InputError, match="no video has a frame"):
        fit_length([0, 0], 29)


@pytest.mark.parametrize(
    ("num_frames", "context", "num_future", "stride"),
    [
        ([100] * 3, 16, 13, 8),
        ([20] * 3, 11, 9, 5),
        ([8] * 3, 4, 4, 2),
        ([2] * 3, 1, 1, 1),
        ([10] * 9 + [50], 6, 4, 3),
    ],
)
def test_pretraining_windows_are_divided_16_to_13(
    num_frames: list[int], context: int, num_future: int, stride: int
) -> None:
    windows = fit_pretrain_windows(PretrainWindows(), num_frames, needs_future=True)
    assert windows == PretrainWindows(context=context, num_future=num_future, stride=stride)


def test_without_an_objective_of_the_future_all_is_context() -> None:
    windows = fit_pretrain_windows(PretrainWindows(), [20] * 3, needs_future=False)
    assert windows == PretrainWindows(context=20, num_future=0, stride=10)


@pytest.mark.parametrize(
    ("given", "context", "num_future"),
    [
        (PretrainWindows(context=5), 5, 15),
        (PretrainWindows(num_future=5), 15, 5),
        (PretrainWindows(context=30), 30, 24),
        (PretrainWindows(num_future=30), 1, 30),
        (PretrainWindows(context=3, num_future=2), 3, 2),
    ],
)
def test_a_length_that_is_given_stays(given: PretrainWindows, context: int, num_future: int) -> None:
    windows = fit_pretrain_windows(given, [20] * 3, needs_future=True)
    assert (windows.context, windows.num_future) == (context, num_future)


def test_windows_that_follow_each_other_are_a_context_apart() -> None:
    assert fit_pretrain_windows(PretrainWindows(stateful=True), [20] * 3, needs_future=True).stride == 11
    assert fit_pretrain_windows(PretrainWindows(stride=3), [20] * 3, needs_future=True).stride == 3


def test_generated_sequences_have_ten_and_ten_frames() -> None:
    assert fit_pretrain_windows(PretrainWindows(), None, needs_future=True).length == 20
    assert fit_pretrain_windows(PretrainWindows(), None, needs_future=True).context == 10


@pytest.mark.parametrize(
    ("num_frames", "length", "stride"), [([100] * 3, 16, 8), ([20] * 3, 20, 10), ([5] * 9 + [50], 5, 2), ([1], 1, 1)]
)
def test_windows_for_classification(num_frames: list[int], length: int, stride: int) -> None:
    assert fit_finetune_windows(FinetuneWindows(), num_frames) == FinetuneWindows(
        length=length, stride=stride, resample=False
    )
    assert fit_finetune_windows(FinetuneWindows(length=7, stride=3), num_frames) == FinetuneWindows(
        length=7, stride=3, resample=False
    )
