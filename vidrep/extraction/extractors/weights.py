"""Weights of torchvision's networks: downloaded or read from a file, fitted to a network, identified by their hash."""

import contextlib
import hashlib
import io
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torchvision import models

from ...errors import WeightsError, nearest_names, shortened, some_names

_log = logging.getLogger(__name__)

# Under which keys training programs save a state dictionary, and what they put in front of the names in it.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "model.", "_orig_mod.")
_DEEPEST_WRAPPER = 4
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


def load_network(
    model: str, weights: str, *, used: Callable[[nn.Module], Collection[str]] | None = None
) -> tuple[nn.Module, str]:
    """Build a torchvision classification model with its weights; return it and the weights' origin for the record.

    used: names the weights that must be in a file; without it all must, and nothing else. See fit_state.

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
    fit_state(network, read_state(Path(weights)), what=f"{model} from {weights}", used=used)
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
        reason = shortened(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise WeightsError(
            f"weights {path}: not a state dictionary that can be read safely ({reason}); save the model's state_dict() "
            "alone"
        ) from error
    for _ in range(_DEEPEST_WRAPPER):
        inner = [content[name] for name in _WRAPPERS if isinstance(content, Mapping) and name in content]
        content = next((value for value in inner if isinstance(value, Mapping)), content)
    if not isinstance(content, Mapping) or not all(
        isinstance(n, str) and isinstance(v, Tensor) for n, v in content.items()
    ):
        raise WeightsError(f"weights {path}: it holds no state dictionary (names with tensors)")
    state = {_without_prefixes(name): value for name, value in content.items()}
    if len(state) < len(content):
        raise WeightsError(f"weights {path}: names differ only in {' or '.join(_PREFIXES)}; save one of the two models")
    return state


def _without_prefixes(name: str) -> str:
    while prefix := next(filter(name.startswith, _PREFIXES), ""):
        name = name.removeprefix(prefix)
    return name


def fit_state(
    network: nn.Module,
    state: Mapping[str, Tensor],
    *,
    what: str,
    used: Callable[[nn.Module], Collection[str]] | None = None,
) -> None:
    """Load a state dictionary that fits exactly, or at least in the weights that are used.

    used: names the weights that must fit; it is called if not all do. What does not fit besides them is left out, which
        is logged, and the network's weights that are not used become 0, so that its hash is that of the used ones. A
        weight that the network lacks is left out only if it is in no module with used weights: the third block of
        ResNet-34's layer1 does not fit the two of ResNet-18.

    Raises WeightsError with the missing and unexpected names, or the first shape that differs.
    """
    wanted = network.state_dict()
    unfit = [name for name in state if name not in wanted or state[name].shape != wanted[name].shape]
    if not unfit and len(state) == len(wanted):
        network.load_state_dict(state)
        return
    needed = set(wanted if used is None else used(network))
    missing = [name for name in wanted if name in needed and name not in state]
    used_modules = {module for name in needed for module in _modules_above(name)} | ({""} if used is None else set())
    modules = {name for name, _ in network.named_modules()}
    unexpected = [
        name
        for name in state
        if name not in wanted and next(filter(modules.__contains__, _modules_above(name)), "") in used_modules
    ]
    if missing or unexpected:
        parts = [f"missing {some_names(missing)}"] if missing else []
        parts += [f"unexpected {some_names(unexpected)}"] if unexpected else []
        earlier = "" if used is None else ", or an earlier --layer"
        raise WeightsError(
            f"weights do not fit {what}: {'; '.join(parts)}; give the weights of this very model{earlier}"
        )
    for name in unfit:
        if name in needed:
            got, want = tuple(state[name].shape), tuple(wanted[name].shape)
            raise WeightsError(f"weights do not fit {what}: {name} has shape {got}, the model {want}")
    network.load_state_dict({name: state[name] if name in needed else wanted[name].zero_() for name in wanted})
    absent = [name for name in wanted if name not in needed and name not in state]
    left_out = "; ".join(
        f"{how} {some_names(names)}" for how, names in (("left out are", unfit), ("missing are", absent)) if names
    )
    _log.info("weights of %s: all %d that the features need are taken; %s", what, len(needed), left_out)


def _modules_above(name: str) -> list[str]:
    """Return the modules that a weight is in, the innermost first, but not the network: "a.b" and "a" of "a.b.c"."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


def sha256_of_state(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and values, in hexadecimal: equal weights from any kind of file are equal."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().data)
    return digest.hexdigest()
