"""A labeled folder of small video files that come from sources: what `vidrep sample --sources` writes."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .motions import MOTIONS
from .samples import Clip, check_pictures
from .sources import Source, draw_source, render_source_clip

_CLIPS_PER_MOTION = (3, 6)
# The smaller, the more a source shows of few motions: at 0.3 the commonest of eight has half of what is dealt out.
_UNBALANCED_CONCENTRATION = 0.3


@dataclass(frozen=True, kw_only=True)
class SourceSampleConfig:
    """Clips of several sources, each of which shows all eight motions in its own way: how many sources, what size."""

    num_sources: int = 30
    """Sources; each one is a group, and all its clips have the same split."""
    unbalanced: bool = False
    """Whether training sources show the motions in very unequal shares; else each has 3 to 6 clips of every motion.

    Sources keep their number of clips, at least one of every motion. Test sources stay as they are.
    """
    test_fraction: float = 1 / 3
    """Part of the sources, the last ones, whose split is 'test': at least one, and not all."""
    frame_size: int = 64
    """Width and height of a frame in pixels; even, because H.264 halves the color planes."""
    frames_per_second: int = 10
    """Frame rate written in the files; it changes no pixel."""
    seed: int = 0
    """With the numbers of source and clip and the class, all that a clip's pixels depend on."""

    def __post_init__(self) -> None:
        if self.num_sources < 2:
            raise ConfigError(f"num_sources is {self.num_sources}; it must be at least 2, one to train and one to test")
        if not 0 < self.test_fraction < 1:
            raise ConfigError(f"test_fraction is {self.test_fraction}; it must be more than 0 and less than 1")
        check_pictures(frame_size=self.frame_size, frames_per_second=self.frames_per_second, seed=self.seed)

    @property
    def num_test_sources(self) -> int:
        """Sources whose split is 'test'."""
        return min(max(1, round(self.test_fraction * self.num_sources)), self.num_sources - 1)

    def clips(self) -> list[Clip]:
        """Return <motion>/source01-01.mp4 and so on."""
        return [clip for number in range(1, self.num_sources + 1) for clip in self._clips_of(number)]

    def _clips_of(self, number: int) -> list[Clip]:
        source = draw_source(self._rng(number), frame_size=self.frame_size)
        is_test = number > self.num_sources - self.num_test_sources
        counts = self._draw_counts(number, unbalanced=self.unbalanced and not is_test)
        return [
            Clip(
                video=f"{motion}/source{number:02d}-{take:02d}.mp4",
                label=motion,
                split="test" if is_test else "train",
                group=f"source{number:02d}",
                render=partial(self._render, source, number, motion, take),
            )
            for motion, count in zip(MOTIONS, counts, strict=True)
            for take in range(1, count + 1)
        ]

    def _draw_counts(self, number: int, *, unbalanced: bool) -> NDArray[np.int64]:
        """Draw how many clips a source has of each motion, (8,)."""
        rng = self._rng(number, 0)
        counts = rng.integers(*_CLIPS_PER_MOTION, size=len(MOTIONS), endpoint=True)
        if not unbalanced:
            return counts
        shares = rng.dirichlet([_UNBALANCED_CONCENTRATION] * len(MOTIONS))
        return 1 + rng.multinomial(counts.sum() - len(MOTIONS), shares)

    def _render(self, source: Source, number: int, motion: str, take: int) -> NDArray[np.uint8]:
        return render_source_clip(source, motion, self._rng(number, 1 + MOTIONS.index(motion), take))

    def _rng(self, *key: int) -> np.random.Generator:
        """Return a generator for each purpose, so that none depends on what another has drawn."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
