"""The readout and its cost in one, against autograd of the two."""

import pytest
import torch
from torch import Tensor

from vidrep.models.output_projection import Values, frame_loss, project_output, projected_loss


def drawn(values: Values, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    torch.manual_seed(0)
    learning = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in ((3, 2, 4), (5, 4), (5,))]
    target = torch.rand(3, 2, 5, dtype=dtype)
    return learning, target if values == "probability" else target - 0.5


@pytest.mark.parametrize("values", ["probability", "real"])
@pytest.mark.parametrize(
    ("dtype", "products", "most"),
    [(torch.float64, None, 1e-14), (torch.float32, None, 1e-6), (torch.float32, torch.bfloat16, 1e-2)],
)
def test_cost_and_gradients_are_those_of_autograd(
    values: Values, dtype: torch.dtype, compute_dtype: torch.dtype | None, most: float
) -> None:
    learning, target = drawn(values, dtype)
    costs = (
        3 * projected_loss(*learning, target, values, compute_dtype=compute_dtype),
        3 * frame_loss(project_output(*learning), target, values),
    )
    torch.testing.assert_close(costs[0], costs[1], rtol=most, atol=0)
    found, expected = (torch.autograd.grad(cost, learning) for cost in costs)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).norm() / other.norm()) <= most


@pytest.mark.parametrize("values", ["probability", "real"])
def test_gradients_are_those_of_finite_differences(values: Values) -> None:
    learning, target = drawn(values, torch.float64)
    assert torch.autograd.gradcheck(lambda *given: projected_loss(*given, target, values), learning)


def test_a_gradient_can_be_asked_for_twice() -> None:
    learning, target = drawn("probability", torch.float64)
    cost = projected_loss(*learning, target, "probability")
    first = torch.autograd.grad(cost, learning, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(cost, learning), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
