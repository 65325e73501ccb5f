"""Prediction: a video file is classified as its features are, with the extractor of the run or not at all."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config, with_value

from vidrep.config.settings import EncoderSettings
from vidrep.errors import FeatureFileError, InputError, VidrepError, WeightsError
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import Features, open_features
from vidrep.inference.predict import Predictions, predict
from vidrep.synthetic.samples import SampleConfig, write_samples
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling
from vidrep.video.sources import find_videos
from vidrep.video.writing import write_h264


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_samples(folder / "clips", SampleConfig(videos_per_class=2, num_frames=6, frame_size=32))
    return folder / "clips"


def extracted(clips: Path, output: Path, extractor: Extractor, *, every: int = 2) -> Features:
    extract(find_videos([clips]), output, extractor, sampling=Sampling(every=every), workers=0)
    return open_features(output)


def classifier(features: Features, output: Path) -> Path:
    encoder = EncoderSettings(hidden_size=4)
    config = finetune_config(encoder=encoder, length=4, steps=5, batch_size=0, test_fraction=0.0)
    return finetune(features, output, config, device="cpu").folder


@pytest.fixture(scope="module")
def run(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return classifier(extracted(clips, folder / "features.h5", PatchExtractor(size=4)), folder / "run")


def by_key(predictions: Predictions) -> dict[str, dict[str, float]]:
    return {video.key: video.probabilities for video in predictions.videos}


def test_videos_are_classified_as_their_features_are(tmp_path: Path, clips: Path, run: Path) -> None:
    features = extracted(clips, tmp_path / "same.h5", PatchExtractor(size=4))
    from_videos, from_features = predict(run, [clips], device="cpu"), predict(run, [features.path], device="cpu")
    assert len(from_videos.videos) == 16
    assert from_features == predict(run, features, device="cpu")
    assert by_key(from_videos) == by_key(from_features)
    assert [video.path for video in from_features.videos] == [video.key for video in from_videos.videos]
    assert [video.path for video in from_videos.videos] == [str(clips / video.key) for video in from_videos.videos]
    assert len(predict(run, str(clips / "left"), device="cpu").videos) == 2
    other_sampling = extracted(clips, tmp_path / "other.h5", PatchExtractor(size=4), every=1)
    assert by_key(predict(run, [other_sampling.path], device="cpu")) != by_key(from_videos)


def test_a_folder_of_frames_is_classified_as_its_video(tmp_path: Path, clips: Path, run: Path) -> None:
    clip, folder = clips / "left" / "left-0001.mp4", tmp_path / "frames"
    folder.mkdir()
    with open_video(clip) as video:
        for number, frame in enumerate(video.frames(Sampling())):
            assert cv2.imwrite(str(folder / f"{number:03}.png"), frame.rgb[..., ::-1])
    (expected,) = predict(run, [clip], device="cpu").videos
    for frame_rate in (None, 8.0):
        (got,) = predict(run, [folder], device="cpu", frame_rate=frame_rate).videos
        assert got == replace(expected, path=str(folder), key="frames")
    assert len(predict(run, [folder], device="cpu", images=True).videos) == 6
    with pytest.raises(InputError, match="still images are given"):
        predict(run, [folder / "000.png"], device="cpu")


def test_a_prediction_ranks_every_class(clips: Path, run: Path) -> None:
    clip = clips / "left" / "left-0001.mp4"
    (video,) = predict(run, [clip], device="cpu").videos
    assert (video.path, video.key) == (str(clip), "left-0001.mp4")
    probabilities = list(video.probabilities.values())
    assert len(probabilities) == 8
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-6)
    assert video.label == next(iter(video.probabilities))
    assert video.probability == probabilities[0]


def test_nothing_is_left_behind(tmp_path: Path, clips: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    predict(run, [clips / "left"], device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_video_of_one_frame_is_classified(tmp_path: Path, run: Path) -> None:
    write_h264(tmp_path / "one.mp4", np.full((1, 32, 32, 3), 90, dtype=np.uint8), frames_per_second=10)
    predictions = predict(run, [tmp_path / "one.mp4"], device="cpu")
    assert [video.key for video in predictions.videos] == ["one.mp4"]
    assert predictions.failures == []


def test_a_bad_video_among_good_ones_is_reported_and_changes_nothing(tmp_path: Path, clips: Path, run: Path) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("left/left-0001.mp4", "up/up-0002.mp4"):
        (folder / Path(name).name).write_bytes((clips / name).read_bytes())
    good = predict(run, [folder], device="cpu")
    (folder / "text.mp4").write_text("no video", encoding="utf-8")
    (folder / "empty.mp4").write_bytes(b"")
    mixed = predict(run, [folder], device="cpu")
    assert mixed.videos == good.videos
    assert [video.key for video in good.videos] == ["left-0001.mp4", "up-0002.mp4"]
    assert {(failure.path, failure.status) for failure in mixed.failures} == {
        ("text.mp4", "failed"),
        ("empty.mp4", "failed"),
    }


def test_when_no_video_can_be_read_the_reason_is_given_and_no_temporary_file(tmp_path: Path, run: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(InputError, match=r"none of the 1 videos could be read; text.mp4: ") as caught:
        predict(run, [tmp_path / "text.mp4"], device="cpu")
    assert "vidrep-predict" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.mp4", "none.h5", "empty"])
def test_what_is_not_there_is_refused(tmp_path: Path, run: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=name):
        predict(run, [tmp_path / name], device="cpu")


def test_a_pretraining_is_refused_with_what_to_do(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = train(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    with pytest.raises(InputError, match=r"run: a pretraining, which has no classes; `vidrep finetune` makes a"):
        predict(run, [features.path], device="cpu")


def test_a_run_on_imported_features_classifies_features_alone(tmp_path: Path, clips: Path) -> None:
    features = features_of(tmp_path, circles())
    run = classifier(features, tmp_path / "run")
    assert len(predict(run, [features.path], device="cpu").videos) == 10
    with pytest.raises(InputError, match=r"features of kind 'import' were not computed from videos.*`vidrep import`"):
        predict(run, [clips], device="cpu")


def test_features_that_do_not_fit_or_are_not_finite_are_refused(tmp_path: Path, clips: Path, run: Path) -> None:
    wider = extracted(clips, tmp_path / "wider.h5", PatchExtractor(size=5))
    with pytest.raises(FeatureFileError, match=r"frames of \(5, 5\) uint8; the run was trained on \(4, 4\) uint8"):
        predict(run, [wider.path], device="cpu")
    center = extracted(clips, tmp_path / "center.h5", PatchExtractor(size=4, region="center"))
    with pytest.raises(
        FeatureFileError,
        match=r"other settings than .*: region is 'center', not 'frame'",
    ):
        predict(run, [center.path], device="cpu")
    imported = classifier(features_of(tmp_path, circles()), tmp_path / "imported")
    bad = with_value(features_of(tmp_path / "bad", circles()), "left/02.npy", 1, np.inf)
    with pytest.raises(FeatureFileError, match=r"video 'left/02.npy', frame 1 holds values that are not finite"):
        predict(imported, [bad.path], device="cpu")


def test_weights_are_found_where_they_lie_and_must_be_the_same(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import models

    from vidrep.extraction.extractors.cnn import CnnExtractor

    first, moved, other = tmp_path / "first.pth", tmp_path / "elsewhere" / "moved.pth", tmp_path / "other.pth"
    moved.parent.mkdir()
    for seed, path in enumerate((first, other)):
        torch.manual_seed(seed)
        torch.save(models.squeezenet1_1(weights=None).state_dict(), path)
    extractor = CnnExtractor(model="squeezenet1_1", weights=str(first), device="cpu", batch_size=4)
    for motion in ("left", "right"):
        shutil.copytree(clips / motion, tmp_path / "few" / motion)
    extract(find_videos([tmp_path / "few"]), tmp_path / "cnn.h5", extractor, sampling=Sampling(every=3), workers=0)
    run = classifier(open_features(tmp_path / "cnn.h5"), tmp_path / "run")
    clip = clips / "left" / "left-0001.mp4"
    monkeypatch.setenv("VIDREP_WEIGHTS", str(tmp_path))
    before = predict(run, [clip], device="cpu")
    first.rename(moved)
    with pytest.raises(WeightsError, match=r"weights file first.pth of squeezenet1_1 .* is not in .*; give the file"):
        predict(run, [clip], device="cpu")
    assert predict(run, [clip], weights=moved, device="cpu") == before
    with pytest.raises(WeightsError, match=r"other.pth: other weights of squeezenet1_1"):
        predict(run, [clip], weights=other, device="cpu")
    moved.rename(run / "first.pth")
    assert predict(run, [clip], device="cpu") == before
    features = predict(run, [tmp_path / "cnn.h5"], device="cpu")
    (same,) = [video for video in features.videos if video.path.endswith("left-0001.mp4")]
    assert same.probabilities == before.videos[0].probabilities


def test_a_feature_file_comes_alone(clips: Path, run: Path, tmp_path: Path) -> None:
    for inputs in ([tmp_path / "a.h5", tmp_path / "b.h5"], [clips, tmp_path / "a.h5"]):
        with pytest.raises(InputError, match="2 inputs, a feature file among them; give one feature file, or videos"):
            predict(run, inputs, device="cpu")


def test_every_refusal_is_one_of_ours(tmp_path: Path, run: Path) -> None:
    for inputs in ([tmp_path], [], [""], ["*.mp4"]):
        with pytest.raises(VidrepError) as caught:
            predict(run, inputs, device="cpu")
        assert "\n" not in str(caught.value)


def test_short_videos_are_classified_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A quarter of a window of 12 frames is 3; a still image has 1."""
    videos = circles(num_frames=12)
    run = finetune(features_of(tmp_path, videos), tmp_path / "run", finetune_config(length=12), device="cpu").folder
    for key, num_frames in (("left/01.npy", 1), ("left/02.npy", 2), ("left/03.npy", 3)):
        videos[key] = videos[key][:num_frames]
    caplog.clear()
    predicted = predict(run, features_of(tmp_path / "short", videos), device="cpu").videos
    assert len(predicted) == 10
    (message,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert message.startswith("2 of 10 videos are still images or have fewer than 3 frames, a quarter of a window")
    assert message.endswith(": left/01.npy, left/02.npy")
