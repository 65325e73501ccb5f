"""What is measured and refused before the first step."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import Videos, features_of, with_value

from vidrep.errors import ConfigError, FeatureFileError, InputError
from vidrep.features.store import Features
from vidrep.models.inputs import InputTransforms
from vidrep.sequences.windows import sliding_windows
from vidrep.training.preparation import (
    choose_batch_size,
    choose_likelihood,
    choose_transforms,
    frames_of,
    require_sound,
    require_windows,
    subsample,
)
from vidrep.training.session import explaining_out_of_memory, seeded


def random_videos(dtype: str, *lengths: int) -> Videos:
    rng = np.random.default_rng(0)
    scale = 255 if dtype == "uint8" else 3
    return {f"{number}.npy": (scale * rng.random((n, 2, 3))).astype(dtype) for number, n in enumerate(lengths)}


def fitted(features: Features, videos: list[int]) -> InputTransforms:
    inputs = InputTransforms(features.frame_size, {})
    inputs.fit(frames_of(features, videos))
    return inputs


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_statistics_are_of_the_given_videos_alone(tmp_path: Path, dtype: str) -> None:
    videos = random_videos(dtype, 5, 9, 7)
    features = features_of(tmp_path, videos)
    inputs = fitted(features, [0, 2])
    frames = np.concatenate([videos["0.npy"], videos["2.npy"]]).reshape(12, 6).astype(float)
    frames = frames / 255 if dtype == "uint8" else frames
    np.testing.assert_allclose(inputs.mean.numpy(), frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(inputs.std.numpy(), frames.std(axis=0), rtol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.7, 12345.678])
def test_a_value_that_never_changes_counts_as_having_deviation_one(tmp_path: Path, constant: float) -> None:
    videos = random_videos("float32", 50, 70)
    for frames in videos.values():
        frames[:, 1, 2] = constant
    inputs = fitted(features_of(tmp_path, videos), [0, 1])
    assert inputs.std[5] == 1.0
    assert inputs.mean[5] == np.float32(constant)
    assert (inputs.std[:5] > 0.5).all()


def test_large_values_that_change_little_are_not_lost_in_rounding(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = (10_000 + 0.5 * rng.standard_normal((400, 1))).astype(np.float32)
    inputs = fitted(features_of(tmp_path, {"a.npy": frames}), [0])
    assert inputs.std.item() == pytest.approx(frames.astype(np.float64).std(), rel=1e-6)


def test_auto_is_bernoulli_for_pixels_and_real_features_never_are(tmp_path: Path) -> None:
    pixels = features_of(tmp_path / "pixels", random_videos("uint8", 3))
    real = features_of(tmp_path / "real", random_videos("float32", 3))
    assert [choose_likelihood(pixels, likelihood) for likelihood in ("auto", "bernoulli", "gaussian")] == [
        "bernoulli",
        "bernoulli",
        "gaussian",
    ]
    assert [choose_likelihood(real, likelihood) for likelihood in ("auto", "gaussian")] == ["gaussian", "gaussian"]
    with pytest.raises(FeatureFileError, match="float32 features are no probabilities"):
        choose_likelihood(real, "bernoulli")


def test_auto_standardizes_gaussian_frames_and_bernoulli_frames_stay_in_their_range() -> None:
    choose = partial(choose_transforms, frame_size=257)
    assert (choose("auto", "gaussian"), choose("auto", "bernoulli")) == (("standardize",), ())
    assert choose(("center_clip", "pca"), "gaussian") == ("center_clip", "pca")
    assert choose((), "bernoulli") == ()
    with pytest.raises(ConfigError, match=r'transforms pca: frames of likelihood "bernoulli" must stay in .0, 1.; set'):
        choose(("pca",), "bernoulli")


def test_auto_centers_clips_for_objectives_of_views_and_reduces_large_frames() -> None:
    of_size = {size: choose_transforms("auto", "gaussian", frame_size=size, centers_clips=True) for size in (256, 257)}
    assert of_size == {256: ("standardize", "center_clip"), 257: ("standardize", "center_clip", "pca")}
    assert choose_transforms("auto", "bernoulli", frame_size=257, centers_clips=True) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_by_video_and_frame(tmp_path: Path, value: float) -> None:
    features = with_value(features_of(tmp_path, random_videos("float16", 5, 6)), "1.npy", 4, value)
    require_sound(features, [0])
    with pytest.raises(FeatureFileError, match=r"features.h5: video '1.npy', frame 4 holds values that are not finite"):
        require_sound(features, [0, 1])
    require_sound(features_of(tmp_path / "pixels", random_videos("uint8", 3)), [0])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_damaged_rows_are_named_by_video(tmp_path: Path, dtype: str) -> None:
    features = with_value(features_of(tmp_path, random_videos(dtype, 5, 6)), "1.npy", 4, 7)
    require_sound(features, [0])
    with pytest.raises(FeatureFileError, match=r"features.h5: the rows of video '1.npy' are damaged: .*; extract it"):
        require_sound(features, [0, 1])


def test_no_window_is_refused_with_the_longest_video(tmp_path: Path) -> None:
    features = features_of(tmp_path, random_videos("uint8", 3, 5))
    with pytest.raises(InputError, match=r"no training video has a window of 6 frames, .* 5; use others"):
        require_windows(sliding_windows(features, [0, 1], length=6, stride=1), name="training", advice="use others")
    require_windows(sliding_windows(features, [0, 1], length=5, stride=1), name="training", advice="use others")


def test_a_batch_is_not_larger_than_there_are_windows() -> None:
    assert choose_batch_size(100, 100) == 100
    assert (choose_batch_size(100, 0), choose_batch_size(3, 0)) == (64, 3)
    with pytest.raises(ConfigError, match=r"training.batch_size 4: there are only 3 training windows; give at"):
        choose_batch_size(3, 4)


def test_a_subsample_of_windows_is_spread_evenly_and_has_none_twice(tmp_path: Path) -> None:
    windows = sliding_windows(features_of(tmp_path, random_videos("uint8", 30, 30)), [0, 1], length=3, stride=1)
    assert subsample(windows, 56) is windows
    chosen = subsample(windows, 10)
    places = list(zip(chosen.videos.tolist(), chosen.starts.tolist(), strict=True))
    assert len(set(places)) == len(chosen) == 10
    assert places[0] == (0, 0)
    assert places[-1] == (1, 27)
    assert sum(video for video, _ in places) == 5


def test_seeding_gives_the_same_numbers_and_restores_the_state_of_the_caller() -> None:
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded(7, torch.device("cpu")):
            drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[1]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("batch_size", "advice"),
    [
        (1024, r"training\.batch_size 512 takes about half; or lower encoder\.hidden_size or num_layers"),
        (0, r"lower encoder\.hidden_size, encoder\.num_layers or training\.batch_size"),
        (1, r"lower encoder\.hidden_size, encoder\.num_layers or training\.batch_size"),
    ],
)
def test_for_a_gpu_that_is_too_small_a_batch_size_is_recommended(
    monkeypatch: pytest.MonkeyPatch, batch_size: int, advice: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2 << 30, 140 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 130 << 30)
    where = r"does not fit into the GPU's 140\.0 GiB, of which other processes have 8\.0 GiB"
    message = f"{where}; {advice}, or set training"
    with pytest.raises(ConfigError, match=message) as caught, explaining_out_of_memory(batch_size):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nMore lines.")
    assert "\n" not in str(caught.value)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    for message in ("something else", "cannot allocate a name that is in use", "DefaultCPUAllocator is not built in"):
        with pytest.raises(RuntimeError, match=message) as caught, explaining_out_of_memory():
            raise RuntimeError(message)
        assert type(caught.value) is RuntimeError


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)."),
    ],
)
def test_a_lack_of_memory_names_what_takes_less(error: Exception) -> None:
    with (
        pytest.raises(ConfigError, match=r"does not fit into memory; lower encoder\.hidden_size"),
        explaining_out_of_memory(64),
    ):
        raise error
