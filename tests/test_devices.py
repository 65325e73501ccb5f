"""Device, precision and threads are what was asked for, or what is there."""

from collections.abc import Iterator

import pytest
import torch

from vidrep.devices import DEVICES, EXTRACTION_PRECISIONS, choose_device, choose_precision, set_threads
from vidrep.errors import ConfigError

CPU = torch.device("cpu")


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    with pytest.raises(ConfigError, match=r"device 'cuda': torch .* finds none here; use --device auto or cpu"):
        choose_device("cuda")
    with pytest.raises(ConfigError, match=f"device 'gpu': allowed are {', '.join(DEVICES)}"):
        choose_device("gpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    assert choose_device("cpu") == CPU


def test_precision_by_name() -> None:
    assert choose_precision("fp32", CPU) == ("fp32", torch.float32)
    assert choose_precision("bf16", CPU) == ("bf16", torch.bfloat16)
    for name in ("fp16", "", "FP32"):
        with pytest.raises(ConfigError, match=f"precision '{name}': allowed are auto, fp32, tf32, bf16"):
            choose_precision(name, CPU)
    with pytest.raises(ConfigError, match=r"precision 'tf32': allowed are auto, fp32, bf16$"):
        choose_precision("tf32", torch.device("cuda"), allowed=EXTRACTION_PRECISIONS)


@pytest.fixture
def _same_tf32_afterwards() -> Iterator[None]:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


@pytest.mark.usefixtures("_same_tf32_afterwards")
def test_on_cuda_fp32_is_exact_and_tf32_is_not() -> None:
    cuda = torch.device("cuda")
    for name, products in (("tf32", "high"), ("fp32", "highest"), ("tf32", "high"), ("bf16", "highest")):
        dtype = torch.bfloat16 if name == "bf16" else torch.float32
        assert choose_precision(name, cuda) == (name, dtype)
        assert torch.get_float32_matmul_precision() == products
        assert torch.backends.cudnn.allow_tf32 == (name == "tf32")


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_tf32_is_of_cuda_alone(device: str) -> None:
    before = torch.get_float32_matmul_precision()
    said = f"precision 'tf32': only CUDA has it, the device is {device}; use --precision fp32 or bf16"
    with pytest.raises(ConfigError, match=said):
        choose_precision("tf32", torch.device(device))
    choose_precision("fp32", torch.device(device))
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(
    ("capabilities", "name"),
    [
        ({}, "fp32"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx512_bf16": True}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16"),
    ],
)
def test_auto_is_bf16_where_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], name: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision("auto", CPU)[0] == name


def test_auto_is_fp32_where_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_precision("auto", torch.device("mps")) == ("fp32", torch.float32)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision("auto", CPU) == ("fp32", torch.float32)


@pytest.mark.usefixtures("_same_tf32_afterwards")
@pytest.mark.parametrize(("native", "name"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_where_the_gpu_has_it_without_emulation(
    monkeypatch: pytest.MonkeyPatch, native: bool, name: str
) -> None:
    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    assert choose_precision("auto", torch.device("cuda"))[0] == name


def test_auto_on_this_machine_is_one_of_the_two() -> None:
    assert choose_precision("auto", CPU) in {("fp32", torch.float32), ("bf16", torch.bfloat16)}


def test_threads() -> None:
    set_threads(2)
    set_threads(None)
    assert torch.get_num_threads() == 2
    with pytest.raises(ConfigError, match="threads 0: give at least 1"):
        set_threads(0)
