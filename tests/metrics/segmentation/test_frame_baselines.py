"""Baselines of frames, against windows in plain NumPy and data of which it is known what can be learned."""

import logging
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.errors import LabelError
from vidrep.metrics.segmentation import frame_baselines
from vidrep.metrics.segmentation.bouts import UNKNOWN
from vidrep.metrics.segmentation.frame_baselines import (
    MAJORITY,
    SINGLE_FRAME,
    WINDOW_MEAN,
    FrameClassifier,
    LabeledFrames,
    WindowClassifier,
    fit_frame_baselines,
    refitted,
    window_means,
)
from vidrep.metrics.segmentation.frame_mean import MeanOfTwo
from vidrep.metrics.segmentation.frame_stream import windows

NUM_LABELS = 3


def noisy_video(seed: int, *, noise: float, num_frames: int = 300) -> LabeledFrames:
    """Bouts of 30 frames whose label one of three values tells, below noise of every frame's own."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, NUM_LABELS, num_frames // 30), 30)
    frames = np.eye(NUM_LABELS, 4)[labels] + noise * rng.standard_normal((num_frames, 4))
    return LabeledFrames(frames=frames.astype(np.float32).reshape(-1, 2, 2), targets=labels, group=f"video {seed}")


def classified(classifier: FrameClassifier, *blocks: NDArray[Any]) -> NDArray[np.floating]:
    return np.concatenate(list(classifier.probabilities(blocks)))


def accuracy(classifier: FrameClassifier, video: LabeledFrames) -> float:
    return float((classified(classifier, video.frames).argmax(axis=1) == video.targets).mean())


@pytest.mark.parametrize("length", [1, 5, 11])
@pytest.mark.parametrize("num_frames", [1, 4, 8, 9, 50])
def test_window_means_are_those_of_the_frames_that_are_there(length: int, num_frames: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (num_frames, 2, 3), dtype=np.uint8)
    reach = length // 2
    expected = [
        frames[max(0, t - reach) : t + reach + 1].reshape(-1, 6).astype(np.float64).mean(axis=0) / 255
        for t in range(num_frames)
    ]
    for blocks in ([frames], np.split(frames, [3, 3, 7])):
        found = [window_means(one, length) for one in windows(blocks, 8, reach, reach)]
        assert all(len(rows) == 8 for rows in found[:-1])
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)


def test_a_window_helps_where_frames_are_noisy_and_only_there() -> None:
    train = [noisy_video(seed, noise=1.0) for seed in range(4)]
    test = noisy_video(9, noise=1.0)
    fitted = fit_frame_baselines(train, NUM_LABELS, frames_per_second=10)
    assert list(fitted) == [MAJORITY, SINGLE_FRAME, WINDOW_MEAN]
    single, mean = accuracy(fitted[SINGLE_FRAME], test), accuracy(fitted[WINDOW_MEAN], test)
    assert 0.45 < single < 0.75
    assert mean > single + 0.15
    window = fitted[WINDOW_MEAN]
    assert isinstance(window, WindowClassifier)
    assert window.lengths in [(11,), (21,)]  # of 5, 11, 21 and 41: bouts last 30 frames
    every = np.concatenate([video.targets for video in train])
    shares = np.bincount(every, minlength=NUM_LABELS) / len(every)
    np.testing.assert_allclose(classified(fitted[MAJORITY], test.frames), np.tile(shares, (300, 1)))
    for classifier in fitted.values():
        probabilities = classified(classifier, test.frames)
        assert probabilities.shape == (300, NUM_LABELS)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_unknown_frames_are_not_learned_from() -> None:
    clean = [noisy_video(seed, noise=0.05) for seed in range(3)]
    is_known = np.arange(300) % 60 < 30
    some = [
        LabeledFrames(
            # What is unknown would teach that every label is another one.
            frames=np.where(
                is_known[:, None, None], one.frames, np.roll(one.frames.reshape(-1, 4), 1, 1).reshape(-1, 2, 2)
            ),
            targets=np.where(is_known, one.targets, UNKNOWN),
            group=one.group,
        )
        for one in clean
    ]
    assert some[0].known.tolist() == np.flatnonzero(is_known).tolist()
    fitted = fit_frame_baselines(some, NUM_LABELS, frames_per_second=10)
    assert accuracy(fitted[SINGLE_FRAME], noisy_video(9, noise=0.05)) == 1


def several(video: LabeledFrames) -> LabeledFrames:
    """Label k holds unless the frame is of class k; the last one is known in every second frame."""
    targets = 1 - np.eye(NUM_LABELS, dtype=np.int64)[video.targets]
    targets[::2, 2] = UNKNOWN
    return LabeledFrames(frames=video.frames, targets=targets, group=video.group)


def test_several_labels_have_probabilities_of_their_own() -> None:
    train = [several(noisy_video(seed, noise=0.1)) for seed in range(3)]
    test = noisy_video(9, noise=0.1)
    fitted = fit_frame_baselines(train, NUM_LABELS, frames_per_second=10)
    probabilities = classified(fitted[SINGLE_FRAME], test.frames)
    np.testing.assert_array_equal(probabilities > 0.5, np.eye(NUM_LABELS)[test.targets] == 0)
    of_last = np.concatenate([one.targets[1::2, 2] for one in train])
    assert classified(fitted[MAJORITY], test.frames)[5, 2] == pytest.approx((of_last == 1).mean())
    mean = fitted[WINDOW_MEAN]
    assert isinstance(mean, WindowClassifier)
    assert len(mean.parts) == len(mean.lengths) == NUM_LABELS
    assert ((classified(mean, test.frames) > 0.5) == (probabilities > 0.5)).mean() > 0.8


def test_many_frames_are_thinned_evenly_and_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(frame_baselines, "row_limit", lambda size: 100)
    train = [noisy_video(seed, noise=0.1) for seed in range(3)]
    with caplog.at_level(logging.INFO):
        fitted = fit_frame_baselines(train, NUM_LABELS, frames_per_second=10)
        again = fit_frame_baselines(train, NUM_LABELS, frames_per_second=10)
    lines = [record.getMessage() for record in caplog.records if "of frames" in record.getMessage()]
    assert lines == ["baselines of frames: fitted to 100 of 900 known frames, evenly spread"] * 2
    frames = noisy_video(9, noise=0.1).frames
    for name, classifier in fitted.items():
        np.testing.assert_array_equal(classified(classifier, frames), classified(again[name], frames))


def unknown(targets: NDArray[np.int64]) -> LabeledFrames:
    return LabeledFrames(frames=np.zeros((4, 2), dtype=np.float32), targets=targets, group="a")


def test_what_nobody_annotated_is_refused() -> None:
    with pytest.raises(LabelError, match="in none of 4 frames of 1 videos the label is known; annotate some"):
        fit_frame_baselines([unknown(np.full(4, UNKNOWN))], 2, frames_per_second=10)
    partly = np.array([[1, UNKNOWN]] * 4)
    with pytest.raises(LabelError, match="in none of 4 frames of 1 videos label 1 is known"):
        fit_frame_baselines([unknown(partly)], 2, frames_per_second=10)
    with pytest.raises(ValueError, match="4 frames with 3 targets"):
        unknown(np.zeros(3, dtype=np.int64))


def test_one_group_is_fitted_with_defaults(caplog: pytest.LogCaptureFixture) -> None:
    fitted = fit_frame_baselines([noisy_video(0, noise=0.1)], NUM_LABELS, frames_per_second=10)
    assert accuracy(fitted[SINGLE_FRAME], noisy_video(1, noise=0.1)) > 0.95
    assert "baselines are fitted with defaults" in caplog.text


@pytest.mark.parametrize("several_labels", [False, True])
def test_it_does_not_matter_how_frames_come_nor_without_a_window_what_follows(
    several_labels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_baselines, "_FRAMES_AT_ONCE", 64)
    train = [noisy_video(seed, noise=1.0) for seed in range(3)]
    fitted = fit_frame_baselines(
        [several(one) for one in train] if several_labels else train, NUM_LABELS, frames_per_second=10
    )
    frames = noisy_video(9, noise=1.0).frames
    for one in [*fitted.values(), MeanOfTwo(fitted[SINGLE_FRAME], fitted[WINDOW_MEAN])]:
        whole = classified(one, frames)
        assert classified(one, *np.split(frames, [1, 63, 64, 130])).tobytes() == whole.tobytes()
        for count in (1, 63, 64, 65, 200):
            sure = count - one.frames_ahead
            if sure > 0:
                begun = classified(one, frames[:count])
                same = (
                    begun[:sure] == whole[:sure] if one.frames_ahead == 0 else np.isclose(begun, whole[:count])[:sure]
                )
                assert same.all()
    assert (fitted[MAJORITY].frames_ahead, fitted[SINGLE_FRAME].frames_ahead) == (0, 0)
    assert fitted[WINDOW_MEAN].frames_ahead > 0


def test_the_mean_of_two_is_their_mean() -> None:
    train, test = [noisy_video(seed, noise=0.5) for seed in range(3)], noisy_video(9, noise=0.5)
    fitted = fit_frame_baselines(train, NUM_LABELS, frames_per_second=10)
    both = [classified(fitted[name], test.frames) for name in (SINGLE_FRAME, MAJORITY)]
    mean = MeanOfTwo(fitted[SINGLE_FRAME], fitted[MAJORITY])
    np.testing.assert_allclose(classified(mean, test.frames), (both[0] + both[1]) / 2)
    assert mean.frames_ahead == 0


@pytest.mark.parametrize("several_labels", [False, True])
def test_fitted_again_they_keep_what_was_chosen(several_labels: bool) -> None:
    train = [noisy_video(seed, noise=1.0) for seed in range(5)]
    if several_labels:
        train = [several(one) for one in train]
    fitted = fit_frame_baselines(train[:3], NUM_LABELS, frames_per_second=10)
    same, more = refitted(fitted, train[:3], NUM_LABELS), refitted(fitted, train, NUM_LABELS)
    frames = noisy_video(9, noise=1.0).frames
    assert list(same) == list(more) == list(fitted)
    for name, one in fitted.items():
        np.testing.assert_allclose(classified(same[name], frames), classified(one, frames), atol=0.02)
        assert not np.allclose(classified(more[name], frames), classified(one, frames), atol=1e-3)
        assert more[name].frames_ahead == one.frames_ahead


def test_a_label_of_which_the_sample_knows_nothing_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two frames alone it is known whether the last label holds, and neither is among those that are fitted to."""
    train = [several(noisy_video(seed, noise=0.5)) for seed in range(3)]
    monkeypatch.setattr(frame_baselines, "_MOST_FRAMES", 64)
    for video in train:
        video.targets[:, 2] = UNKNOWN
    train[0].targets[[1, 2], 2] = [1, 0]
    fitted = fit_frame_baselines(train, NUM_LABELS, frames_per_second=10)
    for one in (fitted, refitted(fitted, train, NUM_LABELS)):
        for name in (SINGLE_FRAME, WINDOW_MEAN):
            probabilities = classified(one[name], train[1].frames)
            np.testing.assert_allclose(probabilities[:, 2], 0.5, atol=1e-6)
            assert probabilities[:, 0].std() > 0.1
