"""The output projection and its loss in one, against autograd of the two."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vidrep.config.settings import Likelihood
from vidrep.models.output_projection import frame_loss, output_to_frames, project_output, projected_loss


def drawn(likelihood: Likelihood, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Return hidden values, weight and bias, and a target."""
    torch.manual_seed(0)
    leaves = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in ((3, 2, 4), (5, 4), (5,))]
    target = torch.rand(3, 2, 5, dtype=dtype)
    return leaves, target if likelihood == "bernoulli" else target - 0.5


def loss_of(leaves: list[Tensor], target: Tensor, likelihood: Likelihood, dtype: torch.dtype | None = None) -> Tensor:
    hidden, weight, bias = leaves
    return projected_loss(hidden, weight, bias, target, likelihood, compute_dtype=dtype)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize(
    ("dtype", "compute_dtype", "most"),
    [(torch.float64, None, 1e-14), (torch.float32, None, 1e-6), (torch.float32, torch.bfloat16, 1e-2)],
)
def test_loss_and_gradients_are_those_of_autograd(
    likelihood: Likelihood, dtype: torch.dtype, compute_dtype: torch.dtype | None, most: float
) -> None:
    leaves, target = drawn(likelihood, dtype)
    hidden, weight, bias = leaves
    losses = (
        3 * loss_of(leaves, target, likelihood, compute_dtype),
        3 * frame_loss(project_output(hidden, weight, bias), target, likelihood),
    )
    torch.testing.assert_close(losses[0], losses[1], rtol=most, atol=0)
    found, expected = (torch.autograd.grad(loss, leaves) for loss in losses)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).norm() / other.norm()) <= most


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_gradients_are_those_of_finite_differences(likelihood: Likelihood) -> None:
    leaves, target = drawn(likelihood, torch.float64)
    assert torch.autograd.gradcheck(lambda *given: loss_of(list(given), target, likelihood), leaves)


def test_a_gradient_can_be_computed_twice() -> None:
    leaves, target = drawn("bernoulli", torch.float64)
    loss = loss_of(leaves, target, "bernoulli")
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(loss, leaves), strict=True):
        assert torch.equal(one, other)


def test_rounded_operands_project_to_nearly_the_same_frames() -> None:
    (hidden, weight, bias), _ = drawn("gaussian", torch.float32)
    exact, rounded = (
        project_output(hidden, weight, bias),
        project_output(hidden, weight, bias, compute_dtype=torch.bfloat16),
    )
    assert rounded.dtype == torch.float32
    assert 0 < float((rounded - exact).detach().abs().max()) <= 0.02


def test_bernoulli_frames_are_the_sigmoid_of_the_output_and_gaussian_ones_are_it() -> None:
    output = torch.linspace(-3, 3, 12, dtype=torch.float64).view(2, 2, 3)
    np.testing.assert_allclose(
        output_to_frames(output, "bernoulli").numpy(), 1 / (1 + np.exp(-output.numpy())), rtol=1e-12
    )
    assert output_to_frames(output, "gaussian") is output
