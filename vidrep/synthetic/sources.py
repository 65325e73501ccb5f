"""Sources: what a person with a camera is to real videos, and the clips that each of them makes of the eight motions.

A source fixes nearly everything that a frame shows: the figures that it films and the scene behind them, where in the
picture and how fast and how far they move, how the camera shakes, how the light flickers, how noisy the picture is. Its
clips differ in the motion, and little besides: in the light, the figure of the two, the exact size, the moment at which
a motion starts. So the frames of a source are far more alike than those of a motion, and still the order of the frames
alone gives the motion away: what happens to the whole picture does not depend on it, and runs backwards as well as
forwards.

Lengths are in frame sides, x to the right, y downwards. Shapes: T frames, H = W = frame_size pixels, S pixels along a
side of a scene.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .motions import MotionRanges, Trajectory, draw_trajectory
from .outlines import Floats, Shape
from .painting import Figure, draw_colors, expose, interpolate, paint

Range = tuple[float, float]

# What sources are drawn from. This difficulty was fixed before any model was trained on such clips, by logistic
# regression on pixels alone, and is not to be tuned to a result. Of 30 sources with seed 0, in 16 x 16 gray pixels,
# with all training labels, on test sources: the mean frame gets 0.12 of the motions right (chance is 0.125), the means
# of eight parts in order 0.37, and 0.41 without the clip's mean.
_TRAVEL, _MIDDLE_RADIUS, _SCALE_RATIO = (0.2, 0.5), (0.09, 0.14), (1.5, 2.2)
_LARGEST_TURN = (0.0, math.pi / 2)
_PLACE = (0.0, 1.0)
_NUM_FRAMES = (16, 28)
_OWN_PART = 0.25  # of each range above is a source's own
_OWN_NUM_FRAMES = 6  # lengths that a source's clips have
_NUM_FIGURES = 2
_NUM_TIPS, _NOTCH = (3, 7), (0.45, 0.95)
_AREA = 2.8  # of every outline, in squared radii
_SCENE_LUMA, _SCENE_SPREAD = (0.42, 0.58), (0.05, 0.12)
_CONTRAST, _TEXTURE_CONTRAST = (0.2, 0.3), (0.05, 0.1)  # with both, no luma leaves [0, 1]
_DARK_PART = 0.2  # of sources have figures that are darker than the scene, the others brighter ones
_STRIPES, _STRIPE_WIDTH = (0.02, 0.08), (0.06, 0.2)
_NUM_PROPS, _PROP_RADIUS = (4, 9), (0.05, 0.15)
_TEXTURE_GRID, _SCENE_GRID = 6, 5
_SHAKE, _FLICKER, _CYCLES = (0.005, 0.04), (0.0, 0.05), (0.05, 0.2)
_LIGHT = 0.05  # by which a clip is lighter or darker than its source, at most
_PIXEL_NOISE = (0.01, 0.04)

_MARGIN = _SHAKE[1]  # of a scene around the frame: what the camera sees when it shakes


class Wobble(NamedTuple):
    """An irregular smooth movement around zero.

    amplitude: what it never exceeds.
    cycles: how often it goes up and down, a frame.
    """

    amplitude: float
    cycles: float

    def draw(self, rng: np.random.Generator, num_frames: int) -> Floats:
        """Draw one, (T,): two waves whose periods have no common multiple, each from any moment on."""
        periods = self.cycles * np.outer([1, (1 + math.sqrt(5)) / 2], np.arange(num_frames)) + rng.random((2, 1))
        wave: Floats = self.amplitude * np.sin(2 * math.pi * periods).mean(axis=0)
        return wave


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """What the clips of one source have in common.

    figures: of which a clip shows one.
    scene: (S, S, 3) RGB in [0, 1], the frame with a margin all around.
    margin: how many pixels of the scene lie beyond each edge of the frame.
    ranges: its motions.
    num_frames: the least and the largest length of its clips.
    shake: of the camera, in frame sides, one movement in x and another in y.
    flicker: of the light, as a part of the brightness.
    pixel_noise: standard deviation of what is added to every value.
    """

    figures: tuple[Figure, ...]
    scene: Floats
    margin: int
    ranges: MotionRanges
    num_frames: tuple[int, int]
    shake: Wobble
    flicker: Wobble
    pixel_noise: float


def draw_source(rng: np.random.Generator, *, frame_size: int) -> Source:
    """Draw a source that films frames of so many pixels along a side."""
    scene_luma = rng.uniform(*_SCENE_LUMA)
    contrast = rng.uniform(*_CONTRAST) * (-1 if rng.random() < _DARK_PART else 1)
    shortest = int(rng.integers(_NUM_FRAMES[0], _NUM_FRAMES[1] - _OWN_NUM_FRAMES + 1, endpoint=True))
    margin = math.ceil(_MARGIN * frame_size) + 1
    return Source(
        figures=tuple(_draw_figure(rng, scene_luma + contrast) for _ in range(_NUM_FIGURES)),
        scene=_draw_scene(rng, scene_luma, size=frame_size + 2 * margin),
        margin=margin,
        ranges=MotionRanges(
            travel=_draw_part(rng, _TRAVEL),
            middle_radius=_draw_part(rng, _MIDDLE_RADIUS),
            scale_ratio=_draw_part(rng, _SCALE_RATIO),
            largest_turn=rng.uniform(*_LARGEST_TURN),
            place_x=_draw_part(rng, _PLACE),
            place_y=_draw_part(rng, _PLACE),
        ),
        num_frames=(shortest, shortest + _OWN_NUM_FRAMES - 1),
        shake=Wobble(rng.uniform(*_SHAKE), rng.uniform(*_CYCLES)),
        flicker=Wobble(rng.uniform(*_FLICKER), rng.uniform(*_CYCLES)),
        pixel_noise=rng.uniform(*_PIXEL_NOISE),
    )


def render_source_clip(source: Source, motion: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one clip of `motion` by a source, (T, H, W, 3) RGB; `rng` decides what the source leaves open."""
    num_frames = int(rng.integers(*source.num_frames, endpoint=True))
    figure = source.figures[rng.integers(len(source.figures))]
    trajectory = draw_trajectory(motion, rng, source.ranges, num_frames=num_frames, reach=figure.shape.tip)
    shake_x, shake_y = (source.shake.draw(rng, num_frames) for _ in "xy")
    light = 1 + rng.uniform(-_LIGHT, _LIGHT) + source.flicker.draw(rng, num_frames)
    clip = paint(figure, _shaken(trajectory, shake_x, shake_y), _film(source, shake_x, shake_y))
    clip *= light[:, None, None, None].astype(np.float32)
    return expose(clip, rng, pixel_noise=source.pixel_noise)


def _shaken(trajectory: Trajectory, shake_x: Floats, shake_y: Floats) -> Trajectory:
    return Trajectory(
        x=trajectory.x + shake_x, y=trajectory.y + shake_y, radius=trajectory.radius, angle=trajectory.angle
    )


def _film(source: Source, shake_x: Floats, shake_y: Floats) -> Floats:
    """Return the scene in every frame, (T, H, W, 3), shifted right and down as the camera shakes, each (T,)."""
    frame_size = len(source.scene) - 2 * source.margin
    corners = source.margin - frame_size * np.stack([shake_y, shake_x], axis=1)
    return np.stack([_cut(source.scene, *corner, size=frame_size) for corner in corners])


def _cut(scene: Floats, top: float, left: float, *, size: int) -> Floats:
    """Cut a square out of a scene whose corner lies between pixels, bilinearly: (size, size, 3)."""
    row, column = int(top), int(left)
    around = scene[row : row + size + 1, column : column + size + 1]
    rows = around[:-1] + (top - row) * (around[1:] - around[:-1])
    square: Floats = rows[:, :-1] + (left - column) * (rows[:, 1:] - rows[:, :-1])
    return square


def _draw_part(rng: np.random.Generator, whole: Range) -> Range:
    """Draw the part of a range that is a source's own."""
    low, high = whole
    length = _OWN_PART * (high - low)
    start = rng.uniform(low, high - length)
    return start, start + length


def _draw_figure(rng: np.random.Generator, luma: float) -> Figure:
    """Draw an outline, two colors around `luma` and a texture."""
    contrast = rng.uniform(*_TEXTURE_CONTRAST)
    return Figure(
        shape=_draw_shape(rng),
        colors=draw_colors(rng, np.array([luma - contrast, luma + contrast])),
        texture=rng.random((_TEXTURE_GRID, _TEXTURE_GRID)),
    )


def _draw_shape(rng: np.random.Generator) -> Shape:
    """Draw a polygon or a star, of the same area as any other of that radius."""
    num_tips = int(rng.integers(*_NUM_TIPS, endpoint=True))
    # Notches as far out as the sides of a polygon at most: farther out they would be corners too.
    notch = min(rng.uniform(*_NOTCH), math.cos(math.pi / num_tips))
    tip = math.sqrt(_AREA / (num_tips * notch * math.sin(math.pi / num_tips)))
    return Shape(num_tips, tip, notch * tip)


def _draw_scene(rng: np.random.Generator, luma: float, *, size: int) -> Floats:
    """Draw a scene around a mean `luma`, (S, S, 3): soft patches of color, stripes across, and things lying about."""
    spread = rng.uniform(*_SCENE_SPREAD)
    nodes = draw_colors(rng, luma + rng.uniform(-spread, spread, size=(_SCENE_GRID, _SCENE_GRID)))
    along = np.linspace(0, 1, size)
    scene = interpolate(nodes, *np.meshgrid(*[(_SCENE_GRID - 1) * along] * 2, indexing="ij"))
    scene += _draw_stripes(rng, along)[:, :, None]
    for _ in range(rng.integers(*_NUM_PROPS, endpoint=True)):
        prop = _draw_figure(rng, luma + rng.choice([-1, 1]) * rng.uniform(*_CONTRAST))
        x, y, radius, angle = rng.uniform([0, 0, _PROP_RADIUS[0], 0], [1, 1, _PROP_RADIUS[1], 2 * math.pi])[:, None]
        scene = paint(prop, Trajectory(x=x, y=y, radius=radius, angle=angle), scene[None])[0].astype(np.float64)
    return np.clip(scene, 0, 1)


def _draw_stripes(rng: np.random.Generator, along: Floats) -> Floats:
    """Draw stripes with soft edges, (S, S), which make a scene lighter and darker."""
    angle, width, strength = rng.uniform(0, math.pi), rng.uniform(*_STRIPE_WIDTH), rng.uniform(*_STRIPES)
    across = math.cos(angle) * along + math.sin(angle) * along[:, None]
    stripes: Floats = strength * np.clip(3 * np.sin(math.pi * across / width), -1, 1)
    return stripes
