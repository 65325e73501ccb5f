"""Pictures come out turned and mirrored as FFmpeg's own autorotation shows them."""

from pathlib import Path

import av
import numpy as np
import pytest
from fixture_types import MakeVideo
from numpy.typing import NDArray
from odd_files import ONE, ORIENTATIONS, SIDE, quarters, set_display_matrix

from vidrep.video.decoders import open_video
from vidrep.video.geometry import upright
from vidrep.video.sampling import Sampling


def by_ffmpeg(path: Path, filters: list[str]) -> NDArray[np.uint8]:
    """Decode the first frame, and turn it by FFmpeg's filters."""
    graph = av.filter.Graph()
    with av.open(str(path)) as container:
        nodes = [graph.add_buffer(template=container.streams.video[0])]
        nodes += [graph.add(name, arguments) for name, _, arguments in (one.partition("=") for one in filters)]
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        graph.push(next(container.decode(video=0)))
        frame = graph.pull()
        assert isinstance(frame, av.VideoFrame)
        return frame.to_ndarray(format="rgb24").astype(np.uint8)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_all_eight_orientations_are_those_of_ffmpeg(tmp_path: Path, make_video: MakeVideo, name: str) -> None:
    matrix, filters, corners = ORIENTATIONS[name]
    path = make_video(tmp_path / "a.mp4", np.stack([quarters()] * 3), options={"crf": "0"})
    set_display_matrix(path, matrix, side=SIDE)
    with open_video(path) as video:
        shown = next(iter(video.frames(Sampling()))).rgb
    np.testing.assert_array_equal(shown, by_ffmpeg(path, filters))
    edge = SIDE - 1
    found = [[int(shown[row, column, 0]) for column in (0, edge)] for row in (0, edge)]
    assert np.abs(np.array(found) - corners).max() <= 2


def test_pictures_that_are_not_square_are_turned_whole() -> None:
    rows = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)
    turned = upright(rows, (0, ONE, 0, -ONE, 0, 0, 2 * ONE, 0, 1 << 30))
    assert turned[:, :, 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    mirrored = upright(rows, (0, -ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30))
    assert mirrored[:, :, 0].tolist() == [[5, 2], [4, 1], [3, 0]]


def test_a_small_angle_is_no_quarter_turn() -> None:
    rows = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)
    sine, cosine = round(ONE * np.sin(0.05)), round(ONE * np.cos(0.05))
    np.testing.assert_array_equal(upright(rows, (cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 30)), rows)
