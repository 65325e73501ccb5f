"""Weights of torchvision's networks: downloaded or read from a file, fitted strictly, identified by their hash."""

import contextlib
import hashlib
import io
import logging
import os
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torchvision import models

from ...errors import WeightsError, nearest_names, some_names

_log = logging.getLogger(__name__)

# The random weights of `--weights none` are the same every time.
_RANDOM_WEIGHTS_SEED = 0


FOLDERS_VARIABLE = "VIDREP_WEIGHTS"
"""The environment variable that names folders with weights files, separated like those of PATH."""


def search_folders(near: Sequence[Path] = ()) -> list[Path]:
    """Return where a weights file is searched for, in this order.

    The folders in `near` (of the feature file, or the run), the current folder, torch's folder of downloads, and those
    that the environment variable VIDREP_WEIGHTS names.
    """
    named = [Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]
    return list(dict.fromkeys([*near, Path(), _downloads(), *named]))


def _downloads() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def load_network(model: str, weights: str) -> tuple[nn.Module, str]:
    """Build a torchvision classification model with its weights; return it and the weights' origin for the record.

    Raises WeightsError, in one line, for an unknown model and for weights that cannot be had or do not fit.
    """
    known = models.list_models(module=models)
    if model not in known:
        hint = nearest_names(model, known) or "`torchvision.models.list_models()` names them all"
        raise WeightsError(f"torchvision has no classification model {model!r}; {hint}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_WEIGHTS_SEED)
        if weights == "DEFAULT":
            return _with_default_weights(model)
        # Two networks have an initialization of their own that is slow and warns; torch's layers have theirs anyway.
        options = {"init_weights": False} if model in ("googlenet", "inception_v3") else {}
        network: nn.Module = models.get_model(model, weights=None, **options)
    if weights == "none":
        return network, f"random, seed {_RANDOM_WEIGHTS_SEED}"
    fit_state(network, read_state(Path(weights)), what=f"{model} from {weights}")
    return network, "file"


def _with_default_weights(model: str) -> tuple[nn.Module, str]:
    best = models.get_model_weights(model).DEFAULT
    folder, name = _downloads(), best.url.rpartition("/")[2]
    if not (folder / name).exists():
        _log.info("fetching the weights %s once, into %s", best, folder / name)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # torch prints that it downloads, where results go
            return models.get_model(model, weights=best, progress=False), str(best)
    except (OSError, RuntimeError, HTTPException, UnpicklingError, EOFError) as error:  # URLError is an OSError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(
            f"{best} could not be downloaded ({reason}); put the file {name} into {folder}, "
            "or give --weights FILE, or --weights none for random ones"
        ) from error


def read_state(path: Path) -> Mapping[str, Tensor]:
    """Read a state dictionary from a .safetensors, .pth or .pt file, without running code that is in it.

    Raises WeightsError if the file is missing or holds no state dictionary.
    """
    if not path.is_file():
        raise WeightsError(
            f"weights {path}: no such file; --weights takes DEFAULT, none or a file of a state dictionary"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of unknown origin can fail in any way; none of them is our bug
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"weights {path}: not a state dictionary that can be read safely ({reason})") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(
        isinstance(n, str) and isinstance(v, Tensor) for n, v in content.items()
    ):
        raise WeightsError(f"weights {path}: it holds no state dictionary (names with tensors)")
    return {name.removeprefix("module."): value for name, value in content.items()}


def fit_state(network: nn.Module, state: Mapping[str, Tensor], *, what: str) -> None:
    """Load a state dictionary that must fit exactly.

    Raises WeightsError with the missing and unexpected names, or the first shape that differs.
    """
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state]
    unexpected = [name for name in state if name not in wanted]
    if missing or unexpected:
        parts = [f"missing {some_names(missing)}"] if missing else []
        parts += [f"unexpected {some_names(unexpected)}"] if unexpected else []
        raise WeightsError(f"weights do not fit {what}: {'; '.join(parts)}; give the weights of this very model")
    for name, value in state.items():
        if value.shape != wanted[name].shape:
            got, want = tuple(value.shape), tuple(wanted[name].shape)
            raise WeightsError(f"weights do not fit {what}: {name} has shape {got}, the model {want}")
    network.load_state_dict(state)


def sha256_of_state(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and values, in hexadecimal: equal weights from any kind of file are equal."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().data)
    return digest.hexdigest()
