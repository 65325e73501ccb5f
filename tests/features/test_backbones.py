"""Features of networks are torchvision's own, whatever else is in the batch."""

import numpy as np
import pytest
import torch
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from vidrep.errors import ConfigError, WeightsError
from vidrep.features.backbones import CnnExtractor
from vidrep.features.extract import extract
from vidrep.features.store import open_features
from vidrep.video.reading import open_video
from vidrep.video.sampling import Sampling
from vidrep.video.sources import VideoSource, find_videos

BATCH = 4


@pytest.fixture(scope="module")
def squeezenet():
    return CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", batch_size=BATCH)


def frames_of(path):
    with open_video(path) as video:
        return [frame.rgb for frame in video.frames(Sampling())]


@torch.inference_mode()
def features_by_torchvision_alone(frames, layer="classifier.0"):
    torch.manual_seed(0)
    network = models.squeezenet1_1(weights=None)
    network = create_feature_extractor(network, {layer: "x"}).eval().to(memory_format=torch.channels_last)
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    images = torch.stack([preset(torch.from_numpy(frame).permute(2, 0, 1)) for frame in frames])
    padded = torch.cat([images, torch.zeros(-len(images) % BATCH, *images.shape[1:])])
    batches = padded.contiguous(memory_format=torch.channels_last).split(BATCH)
    features = torch.cat([network(batch)["x"].mean(dim=(2, 3)) for batch in batches])
    return features[: len(frames)].half().numpy()


def test_features_equal_a_plain_script(clips_folder, tmp_path, squeezenet):
    extract(find_videos([clips_folder / "left"]), tmp_path / "f.h5", squeezenet)
    features = open_features(tmp_path / "f.h5")
    assert (features.frame_shape, features.dtype, len(features)) == ((512,), "float16", 3)
    for index, row in enumerate(features.videos):
        expected = features_by_torchvision_alone(frames_of(clips_folder / "left" / row.path))
        np.testing.assert_array_equal(features.rows(index), expected)  # to the last bit
        assert expected.std() > 0


@pytest.mark.real_data
def test_features_of_real_frames_equal_a_plain_script(real_data, tmp_path):
    weights = real_data / "weights" / "squeezenet1_1_imagenet_fp16.pth"
    extractor = CnnExtractor(model="squeezenet1_1", weights=str(weights), device="cpu", batch_size=BATCH)
    source = real_data / "clips" / "v_SoccerJuggling_g23_c01.avi"
    extract([VideoSource(source, "a", "")], tmp_path / "f.h5", extractor, sampling=Sampling(every=30))
    network = models.squeezenet1_1(weights=None)
    network.load_state_dict({name: value.float() for name, value in torch.load(weights).items()})
    network = create_feature_extractor(network, {"classifier.0": "x"}).eval()
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    images = torch.stack([preset(torch.from_numpy(one).permute(2, 0, 1)) for one in frames_of(source)[::30]])
    with (
        torch.inference_mode()
    ):  # all at once and in another memory format: float16 of the same values, or its neighbour
        expected = network(images)["x"].mean(dim=(2, 3)).numpy()
    found = np.asarray(open_features(tmp_path / "f.h5").rows(0), np.float32)
    assert found.shape == expected.shape == (8, 512)
    assert expected.max() > 5
    np.testing.assert_allclose(found, expected, rtol=2**-10, atol=1e-4)


def test_features_do_not_depend_on_the_batch(clips_folder, tmp_path, squeezenet):
    sources = find_videos([clips_folder])[:4]
    extract(sources, tmp_path / "together.h5", squeezenet)
    together = open_features(tmp_path / "together.h5")
    for source in sources:
        extract([source], tmp_path / "alone.h5", squeezenet, overwrite=True)
        alone = open_features(tmp_path / "alone.h5")
        np.testing.assert_array_equal(alone.rows(0), together.rows(together.index(source.key)))


def test_preparation_is_that_of_the_preset(squeezenet):
    frame = np.random.default_rng(0).integers(0, 256, (90, 192, 3), dtype=np.uint8)
    prepared = squeezenet.prepare(frame)
    assert prepared.shape == (3, 224, 224) == squeezenet.prepared_shape
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    expected = preset(torch.from_numpy(frame).permute(2, 0, 1))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preset.mean, preset.std))
    torch.testing.assert_close((torch.from_numpy(prepared) / 255 - mean) / std, expected)


def test_the_whole_frame_is_squeezed_into_the_square():
    extractor = CnnExtractor(model="squeezenet1_1", weights="none", region="frame", device="cpu")
    wide = np.zeros((90, 192, 3), np.uint8)
    wide[:, :48] = 255  # a preset's own crop of such a frame never sees this quarter
    seen = extractor.prepare(wide)
    assert seen.shape == (3, 224, 224)
    assert seen.mean() == pytest.approx(255 / 4, abs=1)
    assert (extractor.settings["region"], extractor.settings["resize"]) == ("frame", 224)
    assert CnnExtractor(model="squeezenet1_1", weights="none", device="cpu").prepare(wide).max() == 0
    with pytest.raises(ConfigError, match="frame, centre"):
        CnnExtractor(model="squeezenet1_1", weights="none", region="middle")


def test_settings_say_everything(squeezenet):
    settings = dict(squeezenet.settings)
    assert len(settings.pop("weights_sha256")) == 64
    assert settings == {
        "kind": "cnn", "model": "squeezenet1_1", "layer": "classifier.0", "weights": "random, seed 0",
        "weights_file": "", "region": "centre", "resize": 256, "crop": 224, "interpolation": "bilinear",
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "batch_size": BATCH,
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
def test_the_penultimate_layer(model, layer, width):
    extractor = CnnExtractor(model=model, weights="none", device="cpu", batch_size=1)
    assert extractor.settings["layer"] == layer
    assert extractor.frame_shape == (width,)
    batch = np.random.default_rng(0).integers(0, 256, (1, *extractor.prepared_shape), dtype=np.uint8)
    features = extractor.encode(batch)
    assert (features.shape, features.dtype) == ((1, width), np.float16)


@pytest.mark.parametrize(("layer", "width"), [("layer1.0.relu", 64), ("avgpool", 512), ("fc", 1000)])
def test_any_layer(layer, width):
    extractor = CnnExtractor(model="resnet18", layer=layer, weights="none", device="cpu", batch_size=1)
    assert extractor.frame_shape == (width,)
    assert extractor.settings["layer"] == layer


def test_a_module_means_its_last_node():
    extractor = CnnExtractor(model="resnet18", layer="layer4", weights="none", device="cpu", batch_size=1)
    assert extractor.settings["layer"] == "layer4.1.relu_1"
    assert extractor.frame_shape == (512,)


def test_maps_are_averaged(squeezenet):
    whole = CnnExtractor(model="squeezenet1_1", layer="features.2", weights="none", device="cpu", batch_size=1)
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 224, 224), dtype=np.uint8)
    torch.manual_seed(0)
    network = create_feature_extractor(models.squeezenet1_1(weights=None), {"features.2": "x"}).eval()
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preset.mean, preset.std))
    with torch.inference_mode():
        maps = network((torch.from_numpy(image) / 255 - mean) / std)["x"]
    assert maps.ndim == 4
    np.testing.assert_allclose(whole.encode(image)[0], maps.mean(dim=(2, 3))[0].numpy(), rtol=2**-10, atol=1e-4)


def refusal(**settings):
    with pytest.raises(WeightsError) as caught:
        CnnExtractor(**{"model": "squeezenet1_1", "weights": "none", "device": "cpu", **settings})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_names_are_answered_with_near_ones():
    assert "did you mean 'squeezenet1_1'" in refusal(model="squeezenet11")
    assert "squeezenet1_1 has no layer 'classifer.1'; did you mean 'classifier.1'" in refusal(layer="classifer.1")
    assert "has no layer 'zzzzzz'; it ends with " in refusal(layer="zzzzzz")


def test_values_beyond_float16_are_refused(tmp_path):
    state = {name: value * 1e3 for name, value in models.squeezenet1_1(weights=None).state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    extractor = CnnExtractor(model="squeezenet1_1", weights=str(tmp_path / "a.pth"), device="cpu", batch_size=1)
    with pytest.raises(WeightsError, match=r"layer 'classifier\.0' of squeezenet1_1 gives values that float16 cannot"):
        extractor.encode(np.full((1, 3, 224, 224), 200, np.uint8))


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="device 'gpu': allowed are"):
        CnnExtractor(model="squeezenet1_1", weights="none", device="gpu")


@pytest.mark.real_data
def test_the_dog_is_a_german_shepherd(real_data, tmp_path):
    weights = real_data / "weights" / "squeezenet1_1_imagenet_fp16.pth"
    words = (real_data / "weights" / "imagenet_synset_words.txt").read_text().splitlines()
    logits = CnnExtractor(model="squeezenet1_1", layer="flatten", weights=str(weights), device="cpu", batch_size=1)
    extract([VideoSource(real_data / "photos" / "dog2.jpg", "dog2.jpg", "")], tmp_path / "f.h5", logits)
    features = open_features(tmp_path / "f.h5")
    scores = torch.from_numpy(features.rows(0)[0].astype(np.float32)).softmax(0)
    assert scores.shape == (1000,)
    assert int(scores.argmax()) == 235
    assert "German shepherd" in words[235]
    assert float(scores[235]) == pytest.approx(0.95, abs=0.02)
