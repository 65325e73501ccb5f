"""An extractor from outside vidrep goes the whole way: workers, a kill, and made again from its file."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.extraction.estimate import estimate
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.extraction.from_settings import build_extractor
from vidrep.extraction.preparation import Preparation
from vidrep.features.parts_folder import find_parts
from vidrep.features.store import open_features
from vidrep.plugins import load_plugins
from vidrep.registry import EXTRACTORS
from vidrep.video.sources import find_videos

TOY = Path(__file__).with_name("toy.py")
NUM_FEATURES = {"d.mp4": 4, "left/a.mp4": 1, "left/b.mp4": 2, "left/c.mp4": 2, "right/a.mp4": 3, "right/b.mp4": 3}


@pytest.fixture(scope="module", autouse=True)
def plugin() -> None:
    load_plugins([str(TOY)])


@pytest.fixture
def difference() -> type[Extractor]:
    return EXTRACTORS["difference"]


def toy(name: str = "difference", **options: Any) -> Extractor:
    built: Extractor = EXTRACTORS[name](**options)
    return built


def test_it_is_short() -> None:
    text = TOY.read_text(encoding="utf-8").partition("# ---- 25 lines at most\n")[2].partition("# ----")[0]
    assert len(text.strip().splitlines()) <= 25


@pytest.mark.parametrize("workers", [0, 2])
def test_features_take_pairs_of_frames(clips_folder: Path, tmp_path: Path, workers: int) -> None:
    sources = find_videos([clips_folder])
    extract(sources, tmp_path / "frames.h5", PatchExtractor(size=8), workers=0)
    extract(sources, tmp_path / "pairs.h5", toy(), workers=workers)
    frames, pairs = open_features(tmp_path / "frames.h5"), open_features(tmp_path / "pairs.h5")
    assert {row.path: row.length for row in pairs.videos} == NUM_FEATURES
    for video, row in enumerate(pairs.videos):
        single = frames.rows(video)[: 2 * row.length].astype(np.float32)
        np.testing.assert_array_equal(pairs.rows(video), single[1::2] - single[::2])
        np.testing.assert_array_equal(pairs.timestamps(video), frames.timestamps(video)[: 2 * row.length : 2])
    assert pairs.settings == {
        "kind": "difference", "size": 8, "frames_per_feature": 2, "stride": 2,
        "sampling": {"fps": None, "every": 1, "max_frames": None, "start": None, "end": None},
    }  # fmt: skip


def test_workers_have_what_the_plugin_defines(clips_folder: Path, tmp_path: Path) -> None:
    """They load it by its path, for no module of its name is to be found."""
    sources = find_videos([clips_folder])
    for workers in (0, 2):
        extract(sources, tmp_path / f"{workers}.h5", toy("mirrored-difference"), workers=workers)
    extract(sources, tmp_path / "plain.h5", toy(), workers=0)
    assert (tmp_path / "2.h5").read_bytes() == (tmp_path / "0.h5").read_bytes()
    mirrored, plain = open_features(tmp_path / "2.h5"), open_features(tmp_path / "plain.h5")
    np.testing.assert_array_equal(mirrored.rows(0), plain.rows(0)[:, :, ::-1])


EXTRACTION = """
import sys
import time
from vidrep.extraction import parts
from vidrep.extraction.extract import extract
from vidrep.plugins import load_plugins
from vidrep.registry import EXTRACTORS
from vidrep.video.sources import find_videos

if __name__ == "__main__":
    plugin, clips, output, pause = sys.argv[1:]
    load_plugins([plugin])
    parts.PART_MAX_VIDEOS = 1
    extract(
        find_videos([clips]), output, EXTRACTORS["difference"](size=8), workers=1,
        on_progress=lambda progress: time.sleep(float(pause)),
    )
"""


def test_a_killed_extraction_goes_on(clips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.py"
    script.write_text(EXTRACTION, encoding="utf-8")

    def command(pause: float) -> list[str]:
        return [sys.executable, str(script), str(TOY), str(clips_folder), str(tmp_path / "f.h5"), str(pause)]

    with subprocess.Popen(command(pause=2), env=_environment()) as process:
        deadline = time.monotonic() + 60
        while not find_parts(tmp_path / "f.h5.parts"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert not (tmp_path / "f.h5").exists()
    num_done = len(open_features(tmp_path / "f.h5.parts"))
    assert 0 < num_done < 6
    subprocess.run(command(pause=0), env=_environment(), check=True)
    extract(find_videos([clips_folder]), tmp_path / "once.h5", toy(size=8), workers=0)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "once.h5").read_bytes()
    with pytest.raises(OutputError, match="size is 8, not 9"):
        extract(find_videos([clips_folder]), tmp_path / "f.h5", toy(size=9), workers=0)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_it_is_made_again_from_what_its_file_records(clips_folder: Path, tmp_path: Path) -> None:
    extract(find_videos([clips_folder]), tmp_path / "f.h5", toy(size=6), workers=0)
    again = build_extractor(open_features(tmp_path / "f.h5").settings)
    assert type(again) is EXTRACTORS["difference"]
    assert again.settings == toy(size=6).settings
    assert again.preparation == toy(size=6).preparation
    with pytest.raises(ConfigError, match="of kind 'difference', which has none; leave --weights out"):
        build_extractor(again.settings, weights=tmp_path / "a.pth")
    with pytest.raises(
        InputError, match="extractor 'difference' does not make such features any more: its stride is 2"
    ):
        build_extractor({**again.settings, "stride": 1})


def test_settings_may_be_lists(clips_folder: Path, tmp_path: Path, difference: type[Extractor]) -> None:
    class Channels(difference):  # type: ignore[misc, valid-type]
        @dataclass(frozen=True, kw_only=True)
        class Settings:
            size: int = 8
            channels: tuple[str, ...] = ("red", "green")

    extract(find_videos([clips_folder]), tmp_path / "f.h5", Channels(), workers=0)
    settings = open_features(tmp_path / "f.h5").settings
    assert settings["channels"] == ["red", "green"]
    assert Channels.from_settings(settings).options == Channels().options
    assert extract(find_videos([clips_folder]), tmp_path / "f.h5", Channels(), workers=0).num_new == 0


def test_a_video_shorter_than_a_window_fails_alone(
    clips_folder: Path, tmp_path: Path, difference: type[Extractor]
) -> None:
    class Fours(difference):  # type: ignore[misc, valid-type]
        frames_per_feature = 4

    summary = extract(find_videos([clips_folder]), tmp_path / "f.h5", Fours(), workers=0)
    assert [(failure.path, failure.status) for failure in summary.failures] == [("left/a.mp4", "failed")]
    assert summary.failures[0].reason == "it has 3 frames to use, and a feature takes 4"
    lengths = {row.path: row.length for row in open_features(tmp_path / "f.h5").videos}
    assert lengths == {"d.mp4": 3, "left/b.mp4": 1, "left/c.mp4": 1, "right/a.mp4": 2, "right/b.mp4": 2}


def test_an_estimate_counts_features(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    expected = estimate(sources, tmp_path / "parts", toy(), workers=0)
    assert expected.num_frames == 33
    assert expected.output_bytes == sum(NUM_FEATURES.values()) * (8 * 8 * 4 + 8)
    assert expected.seconds > 0


# ---- what a plug-in may have forgotten


def test_unknown_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown key extractor\.difference\.sise; did you mean 'size'"):
        toy(sise=4)
    with pytest.raises(ConfigError, match=r"unknown key extractor\.patches\.zzz; known are size, region"):
        PatchExtractor(zzz=4)
    with pytest.raises(ConfigError, match=r"extractor\.difference\.size is 'large'; it takes a whole number"):
        toy(size="large")


def test_a_missing_method_is_named() -> None:
    with pytest.raises(ConfigError, match=r"extractor 'incomplete': .*Incomplete lacks encode"):

        @EXTRACTORS.register("incomplete")
        class Incomplete(Extractor):
            pass


def test_an_extractor_without_a_name_is_refused(clips_folder: Path, tmp_path: Path) -> None:
    class Nameless(Extractor):
        dtype, frame_shape, preparation = "uint8", (8, 8), Preparation(side=8, color=False)

        def encode(self, batch: Any) -> Any:
            return batch

    with pytest.raises(ConfigError, match=r"Nameless is no registered extractor; register it under a name"):
        extract(find_videos([clips_folder]), tmp_path / "f.h5", Nameless(), workers=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"dtype": "uint8"}, r"encode returned float32 of shape \(3, 8, 8\); .* uint8 of shape \(3, 8, 8\)"),
        ({"frame_shape": (4,)}, r"encode returned float32 of shape \(3, 8, 8\); .* float32 of shape \(3, 4\)"),
        ({"stride": 0}, "stride 0; give at least 1"),
        ({"batch_size": 0}, "batch_size 0; give at least 1"),
    ],
)
def test_what_it_declares_it_must_keep(
    clips_folder: Path, tmp_path: Path, attributes: dict[str, Any], message: str
) -> None:
    extractor = toy()
    for name, value in attributes.items():
        setattr(extractor, name, value)
    with pytest.raises(ConfigError, match=f"extractor 'difference': {message}"):
        extract(find_videos([clips_folder]), tmp_path / "f.h5", extractor, workers=0)
    assert list(tmp_path.iterdir()) == []


def test_what_it_does_not_set_is_named(clips_folder: Path, tmp_path: Path, difference: type[Extractor]) -> None:
    @dataclass
    class Unset(difference):  # type: ignore[misc, valid-type]
        def __post_init__(self) -> None:
            self.dtype = "float32"

    with pytest.raises(ConfigError, match="extractor 'difference' does not set preparation, frame_shape; set them"):
        extract(find_videos([clips_folder]), tmp_path / "f.h5", Unset(), workers=0)
