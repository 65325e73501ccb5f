import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from vidrep.errors import ConfigError, OutputError
from vidrep.progress import Progress
from vidrep.synthetic.motions import MOTIONS
from vidrep.synthetic.samples import SampleConfig, SampleSummary, write_samples

DATA = Path(__file__).parents[2] / "data" / "clips"
SMALL = SampleConfig(videos_per_class=4, num_frames=6, frame_size=32)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleSummary]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, write_samples(folder, SMALL)


def test_files_decode_and_labels_agree_with_them(sample: tuple[Path, SampleSummary]) -> None:
    folder, summary = sample
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    videos = [row["video"] for row in rows]
    assert len(rows) == 8 * 4
    assert videos == sorted(videos)
    assert videos == sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.mp4"))
    assert videos[0] == "clockwise/clockwise-0001.mp4"
    assert sum(1 for path in folder.rglob("*") if path.is_file()) == len(rows) + 1
    for row in rows:
        assert row["video"].startswith(f"{row['label']}/{row['label']}-")
        assert row["split"] == ("test" if row["video"].endswith("-0004.mp4") else "train")
        with av.open(str(folder / row["video"])) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert [frame.shape for frame in frames] == [(32, 32, 3)] * 6
    assert {row["label"] for row in rows} == set(MOTIONS)
    assert (summary.folder, summary.num_videos, summary.num_frames) == (folder, 32, 192)
    assert summary.num_bytes == sum(path.stat().st_size for path in folder.glob("*/*.mp4"))


def test_the_clips_in_the_repository_are_still_what_is_drawn() -> None:
    """Pixels within what H.264 changes; another machine's arithmetic may end in other bits."""
    config = SampleConfig(videos_per_class=4, test_fraction=0.25)
    clips = config.clips()[::5]
    assert len(clips) == 7
    for clip in clips:
        with av.open(str(DATA / clip.video)) as container:
            shipped = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        # In luma, since color is stored at half the resolution.
        difference = (shipped.astype(float) - clip.render()) @ [0.299, 0.587, 0.114]
        assert np.abs(difference).mean() < 4


def test_a_clip_does_not_depend_on_how_many_there_are(sample: tuple[Path, SampleSummary], tmp_path: Path) -> None:
    folder, _ = sample
    seen: list[Progress] = []
    write_samples(tmp_path / "new" / "fewer", replace(SMALL, videos_per_class=2), on_progress=seen.append)
    fewer = sorted((tmp_path / "new" / "fewer").glob("*/*.mp4"))
    assert len(fewer) == 16
    for path in fewer:
        assert path.read_bytes() == (folder / path.parent.name / path.name).read_bytes()
    assert len({path.read_bytes() for path in fewer}) == 16
    assert [(one.done, one.total, one.unit) for one in seen] == [(done, 16, "videos") for done in range(1, 17)]


def test_another_seed_gives_other_clips(sample: tuple[Path, SampleSummary], tmp_path: Path) -> None:
    folder, _ = sample
    write_samples(tmp_path, replace(SMALL, videos_per_class=1, seed=1))
    others = sorted(tmp_path.glob("*/*.mp4"))
    assert len(others) == 8
    assert all(path.read_bytes() != (folder / path.parent.name / path.name).read_bytes() for path in others)


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match=r"already holds mine\.txt; name a folder that is new or empty"):
        write_samples(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(OutputError, match=r"mine\.txt is a file; name a folder"):
        write_samples(tmp_path / "mine.txt", SMALL)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("videos_per_class", 0),
        ("test_fraction", 1.0),
        ("test_fraction", -0.1),
        ("test_fraction", float("nan")),
        ("num_frames", 3),
        ("frame_size", 14),
        ("frame_size", 33),
        ("frames_per_second", 0),
        ("seed", -1),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{field} is {value}; it must be ") as raised:
        SampleConfig(**cast("dict[str, Any]", {field: value}))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("videos", "fraction", "train"),
    [(40, 0.25, 30), (40, 0.0, 40), (1, 0.25, 1), (1, 0.9, 1), (4, 0.25, 3), (10, 0.9, 1)],
)
def test_split_sizes(videos: int, fraction: float, train: int) -> None:
    assert SampleConfig(videos_per_class=videos, test_fraction=fraction).num_train_per_class == train
