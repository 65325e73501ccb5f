"""Device, precision and threads are what was asked for, or what is there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import circles, features_of, pretrain_config

from vidrep.devices import (
    DEVICES,
    EXTRACTION_PRECISIONS,
    choose_device,
    choose_precision,
    is_out_of_memory,
    to_device,
    torch_settings,
)
from vidrep.errors import ConfigError, InputError
from vidrep.evaluation.evaluate import evaluate
from vidrep.inference.predict import predict
from vidrep.training.pretrain import train

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


def process_settings() -> tuple[str, bool, int]:
    """Return what torch keeps for the whole process."""
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.get_num_threads()


@pytest.mark.parametrize("outer", ["tf32", "fp32"])
def test_on_cuda_fp32_is_exact_and_tf32_is_not(outer: str) -> None:
    cuda, before = torch.device("cuda"), process_settings()
    with torch_settings(cuda, precision=outer):  # a caller's own
        callers = process_settings()
        for name, products in (("tf32", "high"), ("fp32", "highest"), ("bf16", "highest")):
            dtype = torch.bfloat16 if name == "bf16" else torch.float32
            assert choose_precision(name, cuda) == (name, dtype)
            assert process_settings() == callers  # to choose changes nothing
            with torch_settings(cuda, precision=name) as settings:
                assert settings == (cuda, name, dtype)
                assert process_settings()[:2] == (products, name == "tf32")
            assert process_settings() == callers
    assert process_settings() == before


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_only_cuda_has_tf32(device: str) -> None:
    before = process_settings()
    message = f"precision 'tf32': only CUDA has it, the device is {device}; use --precision fp32 or bf16"
    with pytest.raises(ConfigError, match=message):
        choose_precision("tf32", torch.device(device))
    with torch_settings(torch.device(device), precision="fp32"):
        assert process_settings() == before


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


def test_threads_are_the_callers_again_after_the_block() -> None:
    torch.set_num_threads(3)
    with torch_settings(CPU, threads=2):
        assert torch.get_num_threads() == 2
        with torch_settings(CPU):  # without a number, the threads stay
            assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3


def test_training_and_evaluating_leave_the_callers_threads(tmp_path: Path) -> None:
    features, listened = features_of(tmp_path, circles()), list[int]()
    torch.set_num_threads(3)
    train(
        features,
        tmp_path / "run",
        pretrain_config(steps=2, validate_every=2),
        device="cpu",
        threads=2,
        on_progress=lambda progress: listened.append(torch.get_num_threads()),
    )
    assert listened == [2, 2] and torch.get_num_threads() == 3
    (tmp_path / "others").mkdir()
    evaluate(tmp_path / "run", features_of(tmp_path / "others", circles(seed=1)), device="cpu", threads=2)
    assert torch.get_num_threads() == 3
    with pytest.raises(InputError, match="a pretraining, which has no classes"):
        predict(tmp_path / "run", [tmp_path], device="cpu", threads=2)
    assert torch.get_num_threads() == 3


def test_settings_are_the_callers_again_after_an_error() -> None:
    before = process_settings()
    with pytest.raises(KeyError), torch_settings(torch.device("cuda"), precision="tf32", threads=before[2] + 1):
        assert process_settings() == ("high", True, before[2] + 1)
        raise KeyError
    assert process_settings() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads 0: give at least 1"),
        ({"threads": 2, "precision": "tf32"}, "precision 'tf32': only CUDA has it"),
        ({"threads": 2, "precision": "half"}, "precision 'half': allowed are auto"),
    ],
)
def test_refused_settings_change_nothing(options: dict[str, int], message: str) -> None:
    before = process_settings()
    with pytest.raises(ConfigError, match=message), torch_settings(CPU, **options):  # type: ignore[arg-type]
        raise AssertionError
    assert process_settings() == before


def test_an_array_on_a_device_has_its_values_and_type() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    copied = to_device(array, CPU)
    assert copied.dtype == torch.uint8 and copied.tolist() == array.tolist()


def test_out_of_memory_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError())
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"))
    assert not is_out_of_memory(RuntimeError("cannot allocate a name twice"))
