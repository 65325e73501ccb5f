"""`vidrep extract NAME` for an extractor that a plug-in registers."""

from pathlib import Path

import numpy as np
import pytest
from running import one_line, vidrep

from vidrep.features.store import open_features

CLIPS = Path(__file__).parents[2] / "data" / "clips"
PLUGIN = '''
from dataclasses import dataclass

from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.preparation import Preparation
from vidrep.registry import EXTRACTORS


@EXTRACTORS.register("toy")
class Toy(Extractor):
    """The mean color of a frame, times a factor."""

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        factor: float = 1.0

    frame_shape, dtype = (3,), "float32"

    def __init__(self, **options):
        super().__init__(**options)
        self.preparation = Preparation(side=8, color=True)

    def encode(self, batch):
        return self.options.factor * batch.mean(axis=(1, 2), dtype="float32")
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a plug-in; its name is one that no other module has."""
    path = tmp_path_factory.mktemp("plugin") / "toy_extractor_plugin.py"
    path.write_text(PLUGIN)
    return path


def test_a_registered_extractor_is_a_command(tmp_path: Path, plugin: Path) -> None:
    extract: list[object] = ["extract", "toy", CLIPS / "up", "--plugin", plugin, "--workers", 0]
    code, stdout, stderr = vidrep(*extract, "-o", tmp_path / "one.h5")
    assert code == 0, stderr
    assert "4 videos, 80 frames" in stdout
    assert vidrep(*extract, "-o", tmp_path / "two.h5", "--set", "factor=2", "--every", 2, "-qq") == (0, "", "")
    one, two = open_features(tmp_path / "one.h5"), open_features(tmp_path / "two.h5")
    assert (one.settings["kind"], two.settings["factor"]) == ("toy", 2)
    np.testing.assert_allclose(two.rows(0).astype(float), 2 * one.rows(0)[::2].astype(float), rtol=1e-6)
    one_line([*extract, "-o", tmp_path / "three.h5", "--set", "facter=2"], 2, "facter", "factor")


def test_its_help_has_the_shared_options_and_its_own_text(plugin: Path) -> None:
    code, stdout, _ = vidrep("extract", "toy", f"--plugin={plugin}", "--help")
    assert code == 0
    assert "The mean color of a frame, times a factor." in stdout
    options = [line.split()[0].rstrip(",") for line in stdout.splitlines() if line.startswith("  -")]
    assert {"--set", "--fps", "--labels", "-o", "--workers", "--device", "--plugin"} <= set(options)


def test_an_unknown_extractor_gives_the_nearest_names(tmp_path: Path, plugin: Path) -> None:
    rest: list[object] = [CLIPS, "-o", tmp_path / "f.h5"]
    one_line(["extract", "patchs", *rest], 2, "'patchs'", "'patches'", "--plugin MODULE")
    one_line(["extract", "moving-mnst", *rest], 2, "'moving-mnist'")
    one_line(["extract", "toi", *rest, "--plugin", plugin], 2, "did you mean 'toy'")
    one_line(["extract", "toy", *rest, "--plugin", tmp_path / "no.py"], 2, "no.py", "no such file")
