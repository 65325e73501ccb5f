"""Centering by clip uses observed frames only."""

import pytest
import torch
from small_networks import random
from torch import Tensor

from vidrep.config.checks import NoSettings
from vidrep.models.transforms.center_clip import CenterClip

T, B, D = 6, 2, 3


@pytest.fixture
def frames() -> Tensor:
    return random(T, B, D) + 4


def center_clip() -> CenterClip:
    return CenterClip(D, NoSettings())


def observed() -> Tensor:
    """Return which frames may be used: 4 of the first window, 2 of the second."""
    return torch.arange(T)[:, None] < torch.tensor([4, 2])


def test_without_a_mask_each_window_has_the_mean_0(frames: Tensor) -> None:
    found = center_clip()(frames)
    torch.testing.assert_close(found, frames - frames.mean(dim=0, keepdim=True))
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(B, D, dtype=torch.float64), rtol=0, atol=1e-14)


def test_the_mean_is_of_the_observed_frames_of_each_window(frames: Tensor) -> None:
    found = center_clip()(frames, observed())
    for window, count in ((0, 4), (1, 2)):
        torch.testing.assert_close(found[:, window], frames[:, window] - frames[:count, window].mean(dim=0))


def test_no_other_frame_changes_the_observed_ones(frames: Tensor) -> None:
    mask = observed()
    changed = torch.where(mask.unsqueeze(-1), frames, frames + 100)
    before, after = (center_clip()(one, mask) for one in (frames, changed))
    assert torch.equal(before[mask], after[mask])
    torch.testing.assert_close(after[~mask] - before[~mask], torch.full_like(after[~mask], 100))


def test_what_is_the_same_in_all_frames_is_removed(frames: Tensor) -> None:
    torch.testing.assert_close(center_clip()(frames + random(B, D) * 9), center_clip()(frames), rtol=0, atol=1e-12)


def test_it_has_nothing_to_fit_and_no_inverse() -> None:
    transform = center_clip()
    assert transform.state_dict() == {}
    assert transform.output_size == D
    assert not transform.is_invertible
    with pytest.raises(NotImplementedError, match="CenterClip is not invertible"):
        transform.inverse(torch.zeros(D))
