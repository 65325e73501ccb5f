"""Matrix products, those of oneDNN where they are faster, against torch's own."""

import pytest
import torch
from torch import Tensor

from vidrep.models.lstm_kernels import matmul
from vidrep.models.lstm_kernels.matmul import add_product, library, linear, product

CPU = torch.device("cpu")
TYPES = (torch.float32, torch.float64, torch.bfloat16)


@pytest.fixture(params=["oneDNN if there is one", "torch"])
def _both_libraries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setattr(matmul, "_has_onednn", lambda precision: False)
    for least in ("_LARGE", "_LARGE_TRANSPOSED"):  # every product counts as a large one
        monkeypatch.setattr(matmul, least, 0)


def drawn(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Compare up to the rounding of `found`, relative to the norm; `expected` is in float64."""
    assert found.shape == expected.shape
    error = float((found.double() - expected).norm() / expected.norm())
    assert error <= {torch.float64: 1e-14, torch.float32: 1e-6, torch.bfloat16: 1e-2}[found.dtype]


@pytest.mark.usefixtures("_both_libraries")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_all_products_are_torchs_own(dtype: torch.dtype, *, transposed: bool) -> None:
    values, weight, bias, start = drawn((5, 7), (6, 7), (6,), (5, 6), dtype=dtype)
    exact = values.double() @ weight.double().t()
    if transposed:
        weight = weight.t().contiguous().t()
    buffer = torch.empty(5, 6, dtype=dtype)
    assert_close(linear(values, weight), exact)
    assert_close(linear(values, weight, bias), exact + bias.double())
    assert_close(add_product(bias, values, weight, buffer=buffer), exact + bias.double())
    assert_close(add_product(start, values, weight, buffer=buffer), exact + start.double())
    assert_close(product(values, weight.t()), exact)
    left, right = values.t().contiguous().t(), weight.t()
    assert_close(product(left, right), exact)


@pytest.mark.usefixtures("_both_libraries")
@pytest.mark.parametrize("transposed", [False, True])
def test_rounded_products_are_added_in_the_type_of_the_sum(*, transposed: bool) -> None:
    values, weight = drawn((5, 7), (6, 7), dtype=torch.bfloat16)
    bias, start = drawn((6,), (5, 6), dtype=torch.float32)
    if transposed:
        weight = weight.t().contiguous().t()
    rounded = (values @ weight.t()).float()
    buffer = torch.empty(5, 6)
    for begin in (bias, start):
        assert add_product(begin, values, weight, buffer=buffer) is buffer
        torch.testing.assert_close(buffer, begin + rounded, rtol=0, atol=0.02)
    found = linear(values.float(), weight, bias)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, bias + rounded, rtol=0, atol=0)


def test_the_library_of_products_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library(torch.float64, CPU) == library(torch.float32, torch.device("cuda")) == "torch"
    monkeypatch.setattr(matmul, "_has_onednn", lambda precision: True)
    assert library(torch.float32, CPU) == "oneDNN"


@pytest.mark.parametrize("trouble", ["absent", "another result", "another processor"])
def test_an_operator_that_fails_the_probe_is_not_used(monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    def absent(*given: object) -> Tensor:
        raise AttributeError("no such operator")

    def other(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return values @ weight.t()

    if trouble == "another processor":
        monkeypatch.setattr("platform.machine", lambda: "aarch64")
    else:
        monkeypatch.setattr(matmul, "_LARGE", 0)
        monkeypatch.setattr(matmul, "_onednn_linear", absent if trouble == "absent" else other)
    matmul._has_onednn.cache_clear()
    try:
        assert library(torch.float32, CPU) == "torch"
        values, weight = drawn((5, 7), (6, 7), dtype=torch.float32)
        assert_close(linear(values, weight), values.double() @ weight.double().t())
    finally:
        matmul._has_onednn.cache_clear()
