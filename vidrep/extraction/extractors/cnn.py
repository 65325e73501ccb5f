"""Activations of torchvision's image networks as features: any classification model, any layer."""

import threading
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn.utils import fuse_conv_bn_eval
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from torchvision.transforms._presets import ImageClassification

from ...devices import EXTRACTION_PRECISIONS, choose_device, choose_precision
from ...errors import WeightsError, nearest_names, some_names
from ..preparation import Preparation, check_region
from .extractor import Extractor, own_settings
from .weights import FOLDERS_VARIABLE, load_network, search_folders, sha256_of_state


class CnnExtractor(Extractor):
    """Computes one float16 vector a frame: the activation of one layer of a torchvision classification model.

    Maps (C, H, W) are averaged over H and W, token sequences (N, C) over N. Batch normalization is folded into the
    convolutions in float32, before the precision is applied.

    Raises WeightsError, in one line, for an unknown model or layer, and for weights that cannot be had or do not fit;
    ConfigError for an unknown region, resize, precision or device.
    """

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        """Which activation of which network, and what the network is given."""

        model: str = "mobilenet_v3_small"
        """Its name in torchvision, such as "resnet18"."""
        layer: str | None = None
        """A node of its graph, such as "layer4.1.relu", or a module, such as "layer4", which means its last node; None
        takes the input of the last weighted layer (the penultimate activation)."""
        weights: str = "DEFAULT"
        """"DEFAULT" (torchvision's best, downloaded once), "none" (random, always the same), or a file of a state
        dictionary (.pth, .pt, .safetensors) that fits in the layers up to `layer`."""
        region: str = "center"
        """"center" is exactly the preprocessing of the model's default weights in torchvision (resize, center crop,
        normalize), which covers less than half of a wide frame; "frame" squeezes the whole frame into the square."""
        resize: str = "exact"
        """"exact" or "fast", see `Preparation`."""
        precision: str = "auto"
        """"fp32", "bf16", or "auto": bf16 where the device computes in it natively."""
        batch_size: int = 32
        """Features are computed in batches of just this many frames."""

    options: Settings
    free_settings = frozenset({"batch_size", "weights"})  # where weights came from: their hash counts
    dtype = "float16"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        chosen = self.options
        check_region(chosen.region)
        self._device = choose_device(self.device)
        precision, compute_dtype = choose_precision(chosen.precision, self._device, allowed=EXTRACTION_PRECISIONS)
        network, origin = load_network(chosen.model, chosen.weights, used=self._used_weights)
        layer = self._layer_of(network)
        preset = models.get_model_weights(chosen.model).DEFAULT.transforms()
        if not isinstance(preset, ImageClassification):
            raise WeightsError(
                f"{chosen.model} is no image classification model; see `torchvision.models.list_models()`"
            )
        crop = preset.crop_size[0]
        self.preparation = Preparation(
            side=crop,
            scaled_to=preset.resize_size[0],
            region=chosen.region,
            interpolation=preset.interpolation.value,
            resize=chosen.resize,
        )
        self.batch_size = chosen.batch_size
        self.network_device = self._device.type
        weights_sha256 = sha256_of_state(network.state_dict())
        with _quiet_tracing():
            graph = create_feature_extractor(network, {layer: "features"}).eval()
        fold_batch_norms(graph)
        self._network = graph.to(self._device, compute_dtype, memory_format=torch.channels_last)
        self._compute_dtype = compute_dtype
        self._streams = _Streams(self._device)
        self._mean, self._std = (
            torch.tensor(values, device=self._device).view(1, 3, 1, 1) for values in (preset.mean, preset.std)
        )
        with torch.inference_mode():
            shape = self._features(torch.zeros((1, crop, crop, 3), dtype=torch.uint8, device=self._device)).shape
        self.frame_shape = tuple(shape[1:])
        self._found = {
            "layer": layer,
            "weights": origin,
            "weights_sha256": weights_sha256,
            "weights_file": Path(chosen.weights).name if origin == "file" else "",
            "scaled_to": preset.resize_size[0] if chosen.region == "center" else crop,
            "crop": crop,
            "interpolation": preset.interpolation.value,
            "mean": list(preset.mean),
            "std": list(preset.std),
            "precision": precision,
        }

    def _layer_of(self, network: nn.Module) -> str:
        nodes, layer = _graph_nodes(network), self.options.layer
        return _node_of_layer(layer, nodes, self.options.model) if layer else _penultimate_node(network, nodes)

    def _used_weights(self, network: nn.Module) -> Collection[str]:
        """Return the names of the weights that the features depend on: those of the layers up to the chosen one."""
        with _quiet_tracing():
            graph = create_feature_extractor(network, {self._layer_of(network): "features"})
        names: list[str] = list(graph.state_dict())
        return names

    @property
    def settings(self) -> dict[str, Any]:
        """What a feature file records: what was chosen, with what "auto" and None came to, and the weights' hash."""
        return {**super().settings, **self._found}

    @classmethod
    def from_settings(
        cls,
        settings: Mapping[str, Any],
        *,
        device: str = "auto",
        weights: Path | None = None,
        near: Sequence[Path] = (),
    ) -> Self:
        """Make the extractor that recorded settings describe, with the very same weights.

        A weights file is recorded by its name and the hash of the weights in it. `weights` is where it lies now, or a
        file of its name is searched for: see `search_folders`.

        Raises WeightsError if the weights are not to be found or are not the same.
        """
        chosen = {**own_settings(cls, settings), "device": device}
        wanted, origin = settings["weights_sha256"], settings["weights"]
        if weights is None and origin == "file":
            return cls._with_weights_found(settings, chosen, search_folders(near))
        recorded = "none" if origin.startswith("random") else "DEFAULT"
        extractor = cls(**{**chosen, "weights": recorded if weights is None else str(weights)})
        if extractor._found["weights_sha256"] != wanted:
            raise WeightsError(
                f"{weights or recorded}: other weights of {settings['model']} than those that the features were made "
                f"with (hash {extractor._found['weights_sha256'][:12]}, wanted {wanted[:12]})"
            )
        return extractor

    @classmethod
    def _with_weights_found(
        cls, settings: Mapping[str, Any], chosen: Mapping[str, Any], folders: Sequence[Path]
    ) -> Self:
        name, wanted = Path(settings["weights_file"]).name, settings["weights_sha256"]
        others = []
        for path in (folder / name for folder in folders):
            if path.is_file():
                with suppress(WeightsError):  # of another network
                    extractor = cls(**{**chosen, "weights": str(path)})
                    if extractor._found["weights_sha256"] == wanted:
                        return extractor
                others.append(str(path.absolute()))
        rejected = f"; other weights are in {some_names(others)}" if others else ""
        raise WeightsError(
            f"the weights file {name} of {settings['model']} (its weights have the hash {wanted[:12]}) is not in "
            f"{some_names(str(folder.absolute()) for folder in folders)}{rejected}; give the file with --weights, or "
            f"name its folder in {FOLDERS_VARIABLE}"
        )

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Turn prepared frames, (B, crop, crop, 3), into features, (B, D).

        Raises WeightsError if a value does not fit float16.
        """
        with torch.inference_mode(), self._streams.own():
            images = torch.from_numpy(batch)
            if self._device.type == "cuda":  # from pinned memory the copy goes on beside the other stream's computing
                images = images.pin_memory()
            features = self._features(images.to(self._device, non_blocking=True)).to("cpu", torch.float16)
        if not bool(torch.isfinite(features).all()):
            raise WeightsError(
                f"layer {self._found['layer']!r} of {self.options.model} gives values that float16 cannot hold; "
                "choose another layer or other weights"
            )
        return features.numpy()

    def _features(self, images: Tensor) -> Tensor:
        """Turn (B, H, W, 3) uint8 on the device into (B, D) float32."""
        channels_last = images.permute(0, 3, 1, 2).to(torch.float32)
        normalized = (channels_last / 255).sub_(self._mean).div_(self._std).to(self._compute_dtype)
        features: Tensor = self._network(normalized)["features"].to(torch.float32)
        if features.ndim == 4:
            return features.mean(dim=(2, 3))
        if features.ndim == 3:
            return features.mean(dim=1)
        return features.flatten(1)


class _Streams:
    """Gives every thread that computes on a CUDA device a stream of its own, so that copies and products overlap."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._of_thread = device, threading.local()

    def own(self) -> AbstractContextManager[object]:
        if self._device.type != "cuda":
            return nullcontext()
        if not hasattr(self._of_thread, "stream"):
            self._of_thread.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._of_thread.stream)


def fold_batch_norms(graph: fx.GraphModule) -> None:
    """Fold each batch normalization into the convolution before it, if nothing else uses the output of that.

    In evaluation both are linear, so the result is the same but for rounding; on a CPU it saves up to half of the time.
    """
    modules = dict(graph.named_modules())
    for node in graph.graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op != "call_module" or not isinstance(modules[before.target], nn.Conv2d) or len(before.users) > 1:
            continue
        folded = fuse_conv_bn_eval(modules[before.target], modules[node.target])
        graph.set_submodule(before.target, folded)
        modules[before.target] = folded
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)
    for module in list(graph.modules()):  # a graph ends at torchvision's own blocks, which are sequences
        if type(module).forward is nn.Sequential.forward:
            _fold_in_sequence(module)
    graph.delete_all_unused_submodules()
    graph.recompile()


def _fold_in_sequence(sequence: nn.Module) -> None:
    for (name, before), (next_name, after) in pairwise(list(sequence.named_children())):
        if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            setattr(sequence, name, fuse_conv_bn_eval(before, after))
            setattr(sequence, next_name, nn.Identity())


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    """Hold back torchvision's note on training mode: features are taken in evaluation mode alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="NOTE: The nodes obtained by tracing")
        yield


def _graph_nodes(network: nn.Module) -> list[str]:
    with _quiet_tracing():
        nodes: list[str] = get_graph_node_names(network)[1]
    return nodes


def _node_of_layer(layer: str, nodes: list[str], model: str) -> str:
    inside = [node for node in nodes if node == layer or node.startswith(f"{layer}.")]
    if not inside:
        names = {node[:end] for node in nodes for end in range(len(node) + 1) if node[end : end + 1] in ("", ".")}
        hint = nearest_names(layer, sorted(names)) or f"it ends with {some_names(reversed(nodes))}"
        raise WeightsError(f"{model} has no layer {layer!r}; {hint}")
    return layer if layer in inside else inside[-1]


def _penultimate_node(network: nn.Module, nodes: list[str]) -> str:
    modules = dict(network.named_modules())
    weighted = [index for index, node in enumerate(nodes) if isinstance(modules.get(node), nn.Linear | nn.Conv2d)]
    return nodes[weighted[-1] - 1]
