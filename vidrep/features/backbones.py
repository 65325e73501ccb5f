"""Activations of torchvision's image networks as features: any classification model, any layer."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from torchvision.transforms import functional as transforms
from torchvision.transforms._presets import ImageClassification

from ..devices import choose_device
from ..errors import WeightsError, nearest_names, some_names
from .extractor import check_region
from .store import Settings
from .weights import load_network, sha256_of_state


class CnnExtractor:
    """Computes one float16 vector a frame: the activation of one layer of a torchvision classification model.

    model: its name in torchvision, such as "resnet18".
    layer: a node of its graph, such as "layer4.1.relu", or a module, such as "layer4", which means its last node; None
        takes the input of the last weighted layer (the penultimate activation). Maps (C, H, W) are averaged over H and
        W, token sequences (N, C) over N.
    weights: "DEFAULT" (torchvision's best, downloaded once), "none" (random, always the same), or a file of a state
        dictionary (.pth, .pt, .safetensors).
    region: "centre" is exactly the preprocessing of the model's default weights in torchvision (resize, centre crop,
        normalise), which sees less than half of a wide frame; "frame" squeezes the whole frame into the same square.
    batch_size: B; features are computed in batches of just this many frames.

    Raises WeightsError, in one line, for an unknown model or layer, and for weights that cannot be had or do not fit;
    ConfigError for an unknown region or device.
    """

    dtype = "float16"

    def __init__(
        self,
        *,
        model: str = "mobilenet_v3_small",
        layer: str | None = None,
        weights: str = "DEFAULT",
        region: str = "centre",
        device: str = "auto",
        batch_size: int = 32,
    ) -> None:
        self._device, self._region = choose_device(device), check_region(region)
        network, origin = load_network(model, weights)
        nodes = _graph_nodes(network)
        layer = _node_of_layer(layer, nodes, model) if layer else _penultimate_node(network, nodes)
        preset = models.get_model_weights(model).DEFAULT.transforms()
        if not isinstance(preset, ImageClassification):
            raise WeightsError(f"{model} is no image classification model; see `torchvision.models.list_models()`")
        self._preset = preset
        self.batch_size = batch_size
        with _quiet_tracing():
            self._network = create_feature_extractor(network, {layer: "features"}).eval()
        self._network.to(self._device, memory_format=torch.channels_last)
        self._mean, self._std = (
            torch.tensor(values, device=self._device).view(1, 3, 1, 1) for values in (preset.mean, preset.std)
        )
        crop = preset.crop_size[0]
        self.prepared_shape: tuple[int, ...] = (3, crop, crop)
        self.frame_shape: tuple[int, ...] = self._encode(torch.zeros((1, *self.prepared_shape), dtype=torch.uint8))[
            0
        ].shape
        self.settings: Settings = {
            "kind": "cnn",
            "model": model,
            "layer": layer,
            "weights": origin,
            "weights_sha256": sha256_of_state(network.state_dict()),
            "weights_file": str(Path(weights).resolve()) if origin == "file" else "",
            "region": region,
            "resize": preset.resize_size[0] if region == "centre" else crop,
            "crop": crop,
            "interpolation": preset.interpolation.value,
            "mean": list(preset.mean),
            "std": list(preset.std),
            "batch_size": batch_size,
        }

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and crop a frame, (H, W, 3), to (3, crop, crop), for "centre" as the preset does it."""
        preset = self._preset
        image = torch.from_numpy(rgb).permute(2, 0, 1)
        size = preset.resize_size if self._region == "centre" else list(self.prepared_shape[1:])
        image = transforms.resize(image, size, preset.interpolation, antialias=preset.antialias)
        prepared: NDArray[np.uint8] = transforms.center_crop(image, preset.crop_size).numpy()
        return prepared

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Turn prepared frames, (B, 3, crop, crop), into features, (B, D).

        Raises WeightsError if a value does not fit float16.
        """
        features = self._encode(torch.from_numpy(batch)).to(torch.float16)
        if not bool(torch.isfinite(features).all()):
            raise WeightsError(
                f"layer {self.settings['layer']!r} of {self.settings['model']} gives values that float16 cannot hold; "
                "choose another layer or other weights"
            )
        return features.cpu().numpy()

    @torch.inference_mode()
    def _encode(self, batch: Tensor) -> Tensor:
        images = batch.to(self._device).contiguous(memory_format=torch.channels_last)
        images = (images.to(torch.float32) / 255).sub_(self._mean).div_(self._std)
        features: Tensor = self._network(images)["features"]
        if features.ndim == 4:
            return features.mean(dim=(2, 3))
        if features.ndim == 3:
            return features.mean(dim=1)
        return features.flatten(1)


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
