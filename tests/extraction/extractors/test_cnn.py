"""Features of networks are torchvision's own, whatever else is in the batch."""

import copy
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms import functional as transforms

from vidrep.devices import choose_precision
from vidrep.errors import ConfigError, WeightsError
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.cnn import CnnExtractor, fold_batch_norms
from vidrep.extraction.extractors.weights import sha256_of_state
from vidrep.features.store import open_features
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling
from vidrep.video.sources import VideoSource, find_videos

BATCH = 4


@pytest.fixture(scope="module")
def squeezenet() -> CnnExtractor:
    return CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", batch_size=BATCH, precision="fp32")


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    with open_video(path) as video:
        return [frame.rgb for frame in video.frames(Sampling())]


def prepared_of(extractor: CnnExtractor, frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Prepare frames of one crop each, (B, side, side, 3)."""
    prepare = extractor.preparation.for_video("a")
    return np.concatenate([prepare(frame) for frame in frames])


def some_frames(num_frames: int, side: int = 224) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (num_frames, side, side, 3), dtype=np.uint8)


@torch.inference_mode()
def features_by_torchvision_alone(
    frames: Iterable[NDArray[np.uint8]],
    model: str = "squeezenet1_1",
    layer: str = "classifier.0",
    state: dict[str, Tensor] | None = None,
) -> NDArray[np.float16]:
    """What a script of torchvision's own parts gives, float16, in batches of the same shape and memory format."""
    torch.manual_seed(0)
    network = models.get_model(model, weights=None)
    if state is not None:
        network.load_state_dict(state)
    network = create_feature_extractor(network, {layer: "x"}).eval().to(memory_format=torch.channels_last)
    preset = models.get_model_weights(model).DEFAULT.transforms()
    images = torch.stack([preset(torch.from_numpy(frame).permute(2, 0, 1)) for frame in frames])
    padded = torch.cat([images, torch.zeros(-len(images) % BATCH, *images.shape[1:])])
    outputs = [network(one)["x"] for one in torch.split(padded.contiguous(memory_format=torch.channels_last), BATCH)]
    features = torch.cat([one.mean(dim=(2, 3)) if one.ndim == 4 else one for one in outputs])
    return features[: len(images)].half().numpy()


def float16_steps(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.int64]:
    """How many float16 values each pair lies apart."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.float16

    def place(values: NDArray[Any]) -> NDArray[np.int64]:
        bits = values.view(np.uint16).astype(np.int64)
        return np.where(bits & 0x8000, -(bits & 0x7FFF), bits)

    steps: NDArray[np.int64] = np.abs(place(found) - place(expected))
    return steps


def network_with_batch_norms(model: str) -> nn.Module:
    """A network whose batch norms do something: those of one that was never trained are ones and zeros."""
    torch.manual_seed(0)
    network: nn.Module = models.get_model(model, weights=None).eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.1)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
    return network


def num_batch_norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_features_equal_a_plain_script(clips_folder: Path, tmp_path: Path, squeezenet: CnnExtractor) -> None:
    extract(find_videos([clips_folder / "left"]), tmp_path / "f.h5", squeezenet, workers=0)
    features = open_features(tmp_path / "f.h5")
    assert (features.frame_shape, features.dtype, len(features)) == ((512,), "float16", 3)
    for index, row in enumerate(features.videos):
        expected = features_by_torchvision_alone(frames_of(clips_folder / "left" / row.path))
        np.testing.assert_array_equal(features.rows(index), expected)  # to the last bit
        assert expected.std() > 0


@pytest.mark.parametrize(("model", "layer"), [("resnet18", "flatten"), ("mobilenet_v3_small", "classifier.2")])
def test_features_of_a_folded_network_equal_a_plain_script_but_for_rounding(
    clips_folder: Path, tmp_path: Path, model: str, layer: str
) -> None:
    """Of 2048 and 4096 values on an x86 core with AVX-512, 5 and 4 were the next float16, none was further."""
    state = network_with_batch_norms(model).state_dict()
    torch.save(state, tmp_path / "a.pth")
    extractor = CnnExtractor(
        model=model, weights=str(tmp_path / "a.pth"), device="cpu", batch_size=BATCH, precision="fp32"
    )
    assert extractor.settings["layer"] == layer
    assert extractor.settings["weights_sha256"] == sha256_of_state(state)  # of the weights as they came, not folded
    frames = frames_of(clips_folder / "d.mp4")[:BATCH]
    expected = features_by_torchvision_alone(frames, model, layer, state)
    assert expected.std() > 0.01
    steps = float16_steps(extractor.encode(prepared_of(extractor, frames)), expected)
    assert (steps == 0).mean() >= 0.99
    assert steps.max() <= 2


def fine_tuned(num_classes: int | None, prefix: str = "") -> dict[str, Tensor]:
    """Weights of a ResNet-18 trained on `num_classes` classes, without a classifier if None."""
    torch.manual_seed(3)
    state = models.resnet18(weights=None).state_dict()
    for name in ("fc.weight", "fc.bias"):
        values = state.pop(name)
        if num_classes:
            state[name] = values[:num_classes].clone()
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        (fine_tuned(10), "left out are fc.weight, fc.bias"),
        (fine_tuned(None), "missing are fc.weight, fc.bias"),
        (
            {"model": {"model_state_dict": fine_tuned(7, "module.model.")}, "epoch": 3},
            "left out are fc.weight, fc.bias",
        ),
        (
            fine_tuned(None) | {"head.0.weight": torch.zeros(3, 512), "fc.1.weight": torch.zeros(3, 512)},
            "left out are head.0.weight, fc.1.weight; missing are fc.weight, fc.bias",
        ),
    ],
    ids=range(4),
)
def test_own_weights_with_another_classifier_give_the_features_before_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: Any, left_out: str
) -> None:
    torch.save(content, tmp_path / "mine.pth")
    caplog.set_level("INFO", logger="vidrep")
    options: dict[str, Any] = {"model": "resnet18", "device": "cpu", "batch_size": 2, "precision": "fp32"}
    extractor = CnnExtractor(weights=str(tmp_path / "mine.pth"), **options)
    file = f"resnet18 from {tmp_path / 'mine.pth'}"
    assert caplog.messages == [f"weights of {file}: all 120 that the features need are taken; {left_out}"]
    backbone = models.resnet18(weights=None)
    backbone.fc = nn.Identity()
    backbone.load_state_dict(fine_tuned(None))
    frames = some_frames(2)
    preset = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    images = torch.stack([preset(torch.from_numpy(frame).permute(2, 0, 1)) for frame in frames])
    with torch.inference_mode():
        expected = backbone.eval()(images).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(extractor.encode(prepared_of(extractor, frames)), expected, rtol=2e-3, atol=1e-4)
    # The same layers under another classifier have the same hash, and are found again by it.
    torch.save(fine_tuned(4), tmp_path / "other.pth")
    other = CnnExtractor.from_settings(extractor.settings, device="cpu", weights=tmp_path / "other.pth")
    assert other.settings["weights_sha256"] == extractor.settings["weights_sha256"]


def test_own_weights_must_fit_up_to_the_layer(tmp_path: Path) -> None:
    cut = {name: value for name, value in fine_tuned(None).items() if not name.startswith("layer4.")}
    torch.save(cut, tmp_path / "cut.pth")
    options: dict[str, Any] = {"model": "resnet18", "weights": str(tmp_path / "cut.pth"), "device": "cpu"}
    with pytest.raises(WeightsError, match=r"missing layer4.0.conv1.weight, .*very model, or an earlier --layer"):
        CnnExtractor(**options)
    assert CnnExtractor(layer="layer3", **options).frame_shape == (256,)
    torch.save(cut | {"layer1.0.bn1.weight": torch.zeros(3)}, tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match=r"layer1.0.bn1.weight has shape \(3,\), the model \(64,\)"):
        CnnExtractor(layer="layer3", **options)
    # All weights of ResNet-18 but the last are in ResNet-34, with the same shapes: others are in the blocks between.
    torch.save(models.resnet34(weights=None).state_dict(), tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match=r"unexpected layer1.2.conv1.weight, "):
        CnnExtractor(**options)


@pytest.mark.real_data
def test_features_of_real_frames_equal_a_plain_script(real_data: Path, tmp_path: Path) -> None:
    weights = real_data / "weights" / "squeezenet1_1_imagenet_fp16.pth"
    extractor = CnnExtractor(
        model="squeezenet1_1", weights=str(weights), device="cpu", batch_size=BATCH, precision="fp32"
    )
    source = real_data / "clips" / "v_SoccerJuggling_g23_c01.avi"
    extract([VideoSource(source, "a", "")], tmp_path / "f.h5", extractor, sampling=Sampling(every=30), workers=0)
    state = {name: value.float() for name, value in torch.load(weights).items()}
    expected = features_by_torchvision_alone(frames_of(source)[::30], state=state)
    assert expected.shape == (8, 512)
    assert expected.max() > 5
    np.testing.assert_array_equal(open_features(tmp_path / "f.h5").rows(0), expected)


def test_features_do_not_depend_on_the_batch(clips_folder: Path, tmp_path: Path, squeezenet: CnnExtractor) -> None:
    sources = find_videos([clips_folder])[:4]
    extract(sources, tmp_path / "together.h5", squeezenet, workers=0)
    together = open_features(tmp_path / "together.h5")
    for source in sources:
        extract([source], tmp_path / "alone.h5", squeezenet, overwrite=True, workers=0)
        alone = open_features(tmp_path / "alone.h5")
        np.testing.assert_array_equal(alone.rows(0), together.rows(together.index(source.key)))


def test_preparation_is_that_of_the_preset(squeezenet: CnnExtractor) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (90, 192, 3), dtype=np.uint8)
    (prepared,) = squeezenet.preparation.for_video("a")(frame)
    assert prepared.shape == (224, 224, 3) == squeezenet.preparation.crop_shape
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    expected = preset(torch.from_numpy(frame).permute(2, 0, 1))
    mean, std = (torch.tensor(values) for values in (preset.mean, preset.std))
    torch.testing.assert_close(((torch.from_numpy(prepared) / 255 - mean) / std).permute(2, 0, 1), expected)


def test_a_preset_that_resizes_otherwise_is_followed() -> None:
    """Most are bilinear, from 256 pixels to 224; this one is bicubic, to 288 and no crop of the shorter side."""
    extractor = CnnExtractor(model="efficientnet_b2", weights="none", device="cpu", batch_size=1, layer="features.0")
    preset = models.EfficientNet_B2_Weights.DEFAULT.transforms()
    assert preset.interpolation.value == extractor.settings["interpolation"] == "bicubic"
    frame = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    image = torch.from_numpy(frame).permute(2, 0, 1)
    resized = transforms.resize(image, preset.resize_size, preset.interpolation, antialias=preset.antialias)
    expected = transforms.center_crop(resized, preset.crop_size).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(prepared_of(extractor, [frame]), expected[None])


def test_the_whole_frame_is_squeezed_into_the_square() -> None:
    extractor = CnnExtractor(model="squeezenet1_1", weights="none", region="frame", device="cpu")
    wide = np.zeros((90, 192, 3), np.uint8)
    wide[:, :48] = 255  # a preset's own crop of such a frame never sees this quarter
    seen = prepared_of(extractor, [wide])
    assert seen.shape == (1, 224, 224, 3)
    assert seen.mean() == pytest.approx(255 / 4, abs=1)
    assert (extractor.settings["region"], extractor.settings["scaled_to"]) == ("frame", 224)
    assert prepared_of(CnnExtractor(model="squeezenet1_1", weights="none", device="cpu"), [wide]).max() == 0
    with pytest.raises(ConfigError, match="frame, center"):
        CnnExtractor(model="squeezenet1_1", weights="none", region="middle")


def test_settings_say_everything(squeezenet: CnnExtractor) -> None:
    settings = dict(squeezenet.settings)
    assert len(settings.pop("weights_sha256")) == 64
    assert settings == {
        "kind": "cnn", "model": "squeezenet1_1", "layer": "classifier.0", "weights": "random, seed 0",
        "weights_file": "", "region": "center", "resize": "exact", "scaled_to": 256, "crop": 224,
        "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        "precision": "fp32", "batch_size": BATCH,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "layer", "width"),
    [
        ("squeezenet1_1", "classifier.0", 512),
        ("resnet18", "flatten", 512),
        ("mobilenet_v3_small", "classifier.2", 1024),
        pytest.param("vit_b_16", "getitem_5", 768, marks=pytest.mark.slow),
    ],
)
def test_the_penultimate_layer(model: str, layer: str, width: int) -> None:
    extractor = CnnExtractor(model=model, weights="none", device="cpu", batch_size=1)
    assert extractor.settings["layer"] == layer
    assert extractor.frame_shape == (width,)
    features = extractor.encode(some_frames(1, extractor.preparation.side))
    assert (features.shape, features.dtype.name) == ((1, width), "float16")


@pytest.mark.parametrize(("layer", "width"), [("layer1.0.relu", 64), ("avgpool", 512), ("fc", 1000)])
def test_any_layer(layer: str, width: int) -> None:
    extractor = CnnExtractor(model="resnet18", layer=layer, weights="none", device="cpu", batch_size=1)
    assert extractor.frame_shape == (width,)
    assert extractor.settings["layer"] == layer


def test_a_module_means_its_last_node() -> None:
    extractor = CnnExtractor(model="resnet18", layer="layer4", weights="none", device="cpu", batch_size=1)
    assert extractor.settings["layer"] == "layer4.1.relu_1"
    assert extractor.frame_shape == (512,)


def test_maps_are_averaged() -> None:
    whole = CnnExtractor(
        model="squeezenet1_1", layer="features.2", weights="none", device="cpu", batch_size=1, precision="fp32"
    )
    batches = some_frames(1)
    torch.manual_seed(0)
    network = create_feature_extractor(models.squeezenet1_1(weights=None), {"features.2": "x"}).eval()
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    mean, std = (torch.tensor(values) for values in (preset.mean, preset.std))
    with torch.inference_mode():
        maps = network(((torch.from_numpy(batches) / 255 - mean) / std).permute(0, 3, 1, 2))["x"]
    assert maps.ndim == 4
    np.testing.assert_allclose(whole.encode(batches)[0], maps.mean(dim=(2, 3))[0].numpy(), rtol=2**-10, atol=1e-4)


# ---- folding


@torch.inference_mode()
def folded_and_not(
    network: nn.Module, layers: dict[str, str]
) -> tuple[dict[str, Tensor], dict[str, Tensor], fx.GraphModule]:
    """What a network's layers give, folded and as they were, and the folded graph."""
    plain = create_feature_extractor(network, layers).eval()
    folded = create_feature_extractor(copy.deepcopy(network), layers).eval()
    fold_batch_norms(folded)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return folded(images), plain(images), folded


@pytest.mark.parametrize(
    ("model", "layer", "num_left"),
    [
        ("resnet18", "fc", 0),
        ("mobilenet_v3_small", "classifier.3", 0),  # blocks of torchvision's own, which a graph does not look into
        ("shufflenet_v2_x0_5", "fc", 0),
        ("densenet121", "features.transition1.pool", 7),  # many of its norms come before a convolution
    ],
)
def test_batch_norms_are_folded(model: str, layer: str, num_left: int) -> None:
    found, expected, folded = folded_and_not(network_with_batch_norms(model), {layer: "x"})
    scale = expected["x"].abs().max()
    assert scale > 0.01
    torch.testing.assert_close(found["x"] / scale, expected["x"] / scale, rtol=0, atol=1e-5)
    assert num_batch_norms(folded) == num_left


def test_a_convolution_whose_own_output_is_asked_for_is_left_alone() -> None:
    network = network_with_batch_norms("resnet18")
    layers = {"conv1": "conv", "bn1": "norm", "layer2.0.downsample.0": "deep"}
    found, expected, folded = folded_and_not(network, layers)
    assert not torch.equal(expected["conv"], expected["norm"])
    torch.testing.assert_close(found["conv"], expected["conv"], rtol=0, atol=0)
    torch.testing.assert_close(found["norm"], expected["norm"], rtol=0, atol=0)
    torch.testing.assert_close(found["deep"], expected["deep"], rtol=1e-4, atol=1e-4)
    assert num_batch_norms(folded) == 1  # bn1; all others that come before are folded


# ---- precision


@pytest.mark.real_data
def test_features_in_bf16_are_near(real_data: Path) -> None:
    """On an x86 core with AMX the cosine was 0.99992 and more."""
    weights = str(real_data / "weights" / "squeezenet1_1_imagenet_fp16.pth")
    exact, short = (
        CnnExtractor(model="squeezenet1_1", weights=weights, device="cpu", batch_size=8, precision=precision)
        for precision in ("fp32", "bf16")
    )
    frames = frames_of(real_data / "clips" / "v_SoccerJuggling_g23_c01.avi")[::30]
    batches = prepared_of(exact, frames)
    expected, found = (one.encode(batches).astype(np.float64) for one in (exact, short))
    assert expected.shape == found.shape == (8, 512)
    assert (expected != found).mean() > 0.5  # it was in bf16 indeed
    cosines = (expected * found).sum(1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
    assert cosines.min() > 0.9995
    assert (short.settings["precision"], exact.settings["precision"]) == ("bf16", "fp32")


def test_auto_precision_is_recorded_by_its_own_name() -> None:
    extractor = CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", layer="features.2", batch_size=1)
    assert extractor.settings["precision"] == choose_precision("auto", torch.device("cpu"))[0] != "auto"
    with pytest.raises(ConfigError, match="precision 'fp16': allowed are auto, fp32, bf16"):
        CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", precision="fp16")


def test_threads_may_share_a_network(squeezenet: CnnExtractor) -> None:
    batches = some_frames(4 * BATCH).reshape(4, BATCH, 224, 224, 3)
    expected = [squeezenet.encode(batch) for batch in batches]
    with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        found = list(threads.map(squeezenet.encode, batches))
    np.testing.assert_array_equal(found, expected)


# ---- refusals


def refusal(**settings: Any) -> str:
    with pytest.raises(WeightsError) as caught:
        CnnExtractor(**{"model": "squeezenet1_1", "weights": "none", "device": "cpu", **settings})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_names_are_answered_with_near_ones() -> None:
    assert "did you mean 'squeezenet1_1'" in refusal(model="squeezenet11")
    assert "squeezenet1_1 has no layer 'classifer.1'; did you mean 'classifier.1'" in refusal(layer="classifer.1")
    assert "has no layer 'zzzzzz'; it ends with " in refusal(layer="zzzzzz")


def test_values_beyond_float16_are_refused(tmp_path: Path) -> None:
    state = {name: value * 1e3 for name, value in models.squeezenet1_1(weights=None).state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    extractor = CnnExtractor(model="squeezenet1_1", weights=str(tmp_path / "a.pth"), device="cpu", batch_size=1)
    with pytest.raises(WeightsError, match=r"layer 'classifier\.0' of squeezenet1_1 gives values that float16 cannot"):
        extractor.encode(np.full((1, 224, 224, 3), 200, np.uint8))


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="device 'gpu': allowed are"):
        CnnExtractor(model="squeezenet1_1", weights="none", device="gpu")


@pytest.mark.real_data
def test_the_dog_is_a_german_shepherd(real_data: Path, tmp_path: Path) -> None:
    weights = real_data / "weights" / "squeezenet1_1_imagenet_fp16.pth"
    words = (real_data / "weights" / "imagenet_synset_words.txt").read_text().splitlines()
    logits = CnnExtractor(model="squeezenet1_1", layer="flatten", weights=str(weights), device="cpu", batch_size=1)
    extract([VideoSource(real_data / "photos" / "dog2.jpg", "dog2.jpg", "")], tmp_path / "f.h5", logits, workers=0)
    features = open_features(tmp_path / "f.h5")
    scores = torch.from_numpy(features.rows(0)[0].astype(np.float32)).softmax(0)
    assert scores.shape == (1000,)
    assert int(scores.argmax()) == 235
    assert "German shepherd" in words[235]
    assert float(scores[235]) == pytest.approx(0.95, abs=0.02)
