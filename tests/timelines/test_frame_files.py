"""Probabilities of every frame: written in chunks and read again to the bit, never half a file under its name."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from vidrep.errors import ConfigError, FeatureFileError, InputError, OutputError
from vidrep.timelines.frame_files import FORMATS, FrameFormat, read_frames, writing_frames
from vidrep.timelines.timeline import Timeline

LABELS = ("dig, deep", "größe", "rest")


def timeline(name: str, count: int, *, background: str | None = "rest") -> Timeline:
    rng = np.random.default_rng(count)
    values = rng.random((count, 3)).astype(np.float32) ** 9  # some are tiny
    return Timeline(name, np.arange(count + 1) / 29.97, values, LABELS, background, background is None)


VIDEOS = [timeline("run/a.b.mp4", 40_000), timeline("run/b.mp4", 1), timeline("c.mp4", 0)]


def write(output: Path, format: FrameFormat, videos: list[Timeline], *, overwrite: bool = False) -> None:
    first = videos[0]
    with writing_frames(
        output,
        format,
        labels=first.labels,
        background=first.background,
        several_labels=first.several_labels,
        overwrite=overwrite,
    ) as files:
        for one in videos:
            with files.video(one.video) as frames:
                for start in range(0, max(len(one), 1), 700):
                    stop = min(start + 700, len(one))
                    frames.append(one.edges[start : stop + 1], one.probabilities[start:stop])


def assert_same(found: list[Timeline], expected: list[Timeline]) -> None:
    by_name = {one.video: one for one in found}
    assert sorted(by_name) == sorted(one.video for one in expected)
    for one in expected:
        other = by_name[one.video]
        assert (other.labels, other.background) == (one.labels, one.background)
        assert other.several_labels == one.several_labels
        assert other.edges.tobytes() == one.edges.tobytes()
        assert other.probabilities.tobytes() == one.probabilities.tobytes()
        assert (other.edges.dtype.name, other.probabilities.dtype.name) == ("float64", "float32")


@pytest.mark.parametrize("format", FORMATS)
def test_frames_of_several_videos_are_read_again(format: FrameFormat, tmp_path: Path) -> None:
    output = tmp_path / ("all.frames.h5" if format == ".h5" else "folder")
    write(output, format, VIDEOS)
    assert_same(list(read_frames(output)), VIDEOS)
    assert not [file for file in tmp_path.rglob("*") if file.name.startswith(".")]


@pytest.mark.parametrize("format", FORMATS)
def test_one_video_has_a_file_of_its_own(format: FrameFormat, tmp_path: Path) -> None:
    output = tmp_path / f"one.more{format}"
    several = [timeline("a.mp4", 50, background=None)]
    write(output, format, several)
    assert output.is_file()
    assert_same(list(read_frames(output)), several)


def test_files_are_what_other_programs_read(tmp_path: Path) -> None:
    one = timeline("a.mp4", 5)
    write(tmp_path / "a.npy", ".npy", [one])
    assert (np.load(tmp_path / "a.npy") == one.probabilities).all()
    assert (np.load(tmp_path / "a.edges.npy") == one.edges).all()
    write(tmp_path / "a.csv", ".csv", [one])
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == 'start,end,"dig, deep",größe,rest'
    assert lines[1].startswith(f"0.0,{1 / 29.97!r},")
    assert len(lines) == 6
    write(tmp_path / "a.h5", ".h5", [one])
    with h5py.File(tmp_path / "a.h5") as file:
        array = file["a.mp4/probabilities"]
        assert list(array.attrs["labels"]) == [label.encode() for label in LABELS]
        assert (array[()] == one.probabilities).all()
        assert (file["a.mp4/edges"][()] == one.edges).all()


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_not_finished_has_no_name(format: FrameFormat, tmp_path: Path) -> None:
    output = tmp_path / f"one{format}"
    with (
        pytest.raises(KeyboardInterrupt),
        writing_frames(output, format, labels=LABELS, background=None, several_labels=True) as files,
        files.video("a.mp4") as frames,
    ):
        frames.append(VIDEOS[0].edges, VIDEOS[0].probabilities)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_exists_stays_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    for format in FORMATS:
        output = tmp_path / f"one{format}"
        output.write_text("other")
        with pytest.raises(OutputError, match=f"one{format} exists; give a new name or --overwrite"):
            write(output, format, VIDEOS[1:2])
        assert output.read_text() == "other"
        write(output, format, VIDEOS[1:2], overwrite=True)
        assert_same(list(read_frames(output)), VIDEOS[1:2])


def test_two_videos_of_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"would hold 'run/a.b.mp4' and 'run/b.mp4'; give a folder"):
        write(tmp_path / "one.npy", ".npy", VIDEOS)
    alike = [timeline("a/b.mp4", 1), timeline("a__B.mp4", 1)]
    with pytest.raises(OutputError, match=r"would hold 'a/b.mp4' and 'a__B.mp4'; rename one of the videos"):
        write(tmp_path / "folder", ".csv", alike)
    with pytest.raises(OutputError, match=r"'a/b.mp4' cannot be the name of a group"):
        write(tmp_path / "all.h5", ".h5", [alike[0], alike[0]])


def test_chunks_must_follow_each_other(tmp_path: Path) -> None:
    one = VIDEOS[0]
    with (
        pytest.raises(ValueError, match="follow frames until"),
        writing_frames(tmp_path / "a.npy", ".npy", labels=LABELS, background=None, several_labels=True) as files,
        files.video("a.mp4") as frames,
    ):
        frames.append(one.edges[:11], one.probabilities[:10])
        frames.append(one.edges[11:21], one.probabilities[11:20])


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"a.npy: not readable as the frames of a video .*a.frames.json"):
        list(read_frames(tmp_path / "a.npy"))
    with pytest.raises(InputError, match="no frames of videos are in it"):
        list(read_frames(tmp_path))
    write(tmp_path / "b.csv", ".csv", VIDEOS[1:2])
    (tmp_path / "b.csv").write_text("start,end,dig\n0,1,1\n")
    with pytest.raises(InputError, match=r"b.csv: not readable .*columns start,end,dig and labels"):
        list(read_frames(tmp_path / "b.csv"))
    (tmp_path / "c.h5").write_bytes(b"no HDF5")
    with pytest.raises(FeatureFileError, match=r"c.h5: not a readable file of the frames of videos"):
        list(read_frames(tmp_path / "c.h5"))
    with (
        pytest.raises(ConfigError, match=r"format '.mat': give one of .npy, .csv, .h5"),
        writing_frames(tmp_path / "d", ".mat", labels=LABELS, background=None, several_labels=True),  # type: ignore[arg-type]
    ):
        pass
