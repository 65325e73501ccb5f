"""Long videos of many motions with the times of each: what `vidrep sample --long-videos` writes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..segments.segment import Annotations, Segment, Span
from .clips import Appearance, draw_appearance
from .motions import MOTIONS, MotionRanges, Trajectory
from .outlines import OTHER_SHAPES, SHAPES
from .painting import expose, paint
from .samples import Clip, check_pictures
from .timetables import Bout, Pace, draw_poses, draw_timetable

# Short samples show which motion it is only as a whole; here the other channels sway less, and a second of a motion is
# enough. Fixed before any model was trained on such videos, and not to be tuned to a result. Of two shapes each is
# smaller, so that both have room.
_RANGES = MotionRanges(sway=0.25)
_RANGES_OF_TWO = replace(_RANGES, middle_radius=(0.08, 0.12))
_PACE = Pace()
_FRAMES_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class LongVideoConfig:
    """Videos in which shapes do one of the eight motions after another, with pauses: how many, how long.

    Every video has a background, a shape and textures of its own. Test videos have outlines that no training video has.
    """

    num_videos: int = 40
    """Videos."""
    minutes: float = 3.0
    """Length of each video."""
    overlaps: bool = False
    """Whether there are two shapes, each with a timetable of its own: two motions at one time, never twice the same."""
    test_fraction: float = 0.25
    """Part of the videos, the last ones, whose split is 'test': at least one, and not all."""
    frame_size: int = 32
    """Width and height of a frame in pixels; even, because H.264 halves the color planes."""
    frames_per_second: int = 10
    """Frame rate; motions and pauses last so many seconds at any rate."""
    seed: int = 0
    """With a video's number and split, all that its pixels depend on."""

    def __post_init__(self) -> None:
        if self.num_videos < 2:
            raise ConfigError(f"num_videos is {self.num_videos}; it must be at least 2, one to train and one to test")
        if not 60 * self.minutes >= _PACE.shortest_video:
            raise ConfigError(
                f"minutes is {self.minutes:g}; it must be at least {_PACE.shortest_video / 60:g}, to show a motion"
            )
        if not 0 < self.test_fraction < 1:
            raise ConfigError(f"test_fraction is {self.test_fraction}; it must be more than 0 and less than 1")
        check_pictures(frame_size=self.frame_size, frames_per_second=self.frames_per_second, seed=self.seed)

    @property
    def num_test_videos(self) -> int:
        """Videos whose split is 'test'."""
        return min(max(1, round(self.test_fraction * self.num_videos)), self.num_videos - 1)

    @property
    def num_frames(self) -> int:
        """Frames of each video."""
        return round(60 * self.minutes * self.frames_per_second)

    def clips(self) -> list[Clip]:
        """Return video01.mp4 and so on."""
        return [self._clip(number) for number in range(1, self.num_videos + 1)]

    def _clip(self, number: int) -> Clip:
        split = "test" if number > self.num_videos - self.num_test_videos else "train"
        video = f"video{number:02d}.mp4"
        timetables = self._timetables(number)
        return Clip(
            video=video,
            split=split,
            annotations=self._annotations(video, split, timetables),
            render=partial(self._render, number, split, timetables),
        )

    def _timetables(self, number: int) -> list[list[Bout]]:
        """Draw what each shape of a video does."""
        found: list[list[Bout]] = []
        for shape in range(2 if self.overlaps else 1):
            rng = self._rng(number, 0, shape)
            beside = found[0] if found else ()
            found.append(
                draw_timetable(
                    rng,
                    num_frames=self.num_frames,
                    frames_per_second=self.frames_per_second,
                    pace=_PACE,
                    beside=beside,
                )
            )
        return found

    def _annotations(self, video: str, split: str, timetables: Sequence[Sequence[Bout]]) -> Annotations:
        rate = self.frames_per_second
        segments = (
            Segment(video, bout.start / rate, bout.stop / rate, bout.motion) for bouts in timetables for bout in bouts
        )
        return Annotations.of(segments, {video: [Span(0.0, self.num_frames / rate)]}, {video: split}, MOTIONS)

    def _render(self, number: int, split: str, timetables: Sequence[Sequence[Bout]]) -> NDArray[np.uint8]:
        shapes = OTHER_SHAPES if split == "test" else SHAPES
        ranges = _RANGES_OF_TWO if self.overlaps else _RANGES
        looks, ways = [], []
        for shape, bouts in enumerate(timetables):
            rng = self._rng(number, 1, shape)
            looks.append(draw_appearance(rng, frame_size=self.frame_size, shapes=shapes))
            reach = looks[-1].figure.shape.tip
            ways.append(draw_poses(bouts, rng, ranges, num_frames=self.num_frames, reach=reach))
        return _film(looks, ways, self._rng(number, 2))

    def _rng(self, *key: int) -> np.random.Generator:
        """Return a generator for each purpose, so that none depends on what another has drawn."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


def _film(looks: Sequence[Appearance], ways: Sequence[Trajectory], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint shapes over the first one's background, a block of frames at a time: (T, H, W, 3)."""
    background, pixel_noise = looks[0].background, looks[0].pixel_noise
    num_frames = len(ways[0].x)
    blocks = []
    for start in range(0, num_frames, _FRAMES_AT_ONCE):
        block = slice(start, min(start + _FRAMES_AT_ONCE, num_frames))
        frames = np.broadcast_to(background, (block.stop - start, *background.shape)).astype(np.float32)
        for look, way in zip(looks, ways, strict=True):
            frames = paint(look.figure, way[block], frames)
        blocks.append(expose(frames, rng, pixel_noise=pixel_noise))
    return np.concatenate(blocks)
