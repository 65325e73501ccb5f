"""A reliability plot is a PNG whose bars are as high as accuracies."""

from pathlib import Path

import numpy as np
from PIL import Image

from vidrep.metrics.calibration import Calibration, Reliability
from vidrep.viewing.reliability import write_reliability


def test_a_bar_is_as_high_as_its_accuracy(tmp_path: Path) -> None:
    certain = Reliability.of(np.array([[1.0, 0.0]] * 4), np.array([0, 0, 1, 1]))
    for fitted, width in ((1.0, 472), (2.0, 888)):
        calibration = Calibration(temperature=fitted, final_temperature=1.0, before=certain, after=certain)
        write_reliability(tmp_path / "plot.png", calibration)
        with Image.open(tmp_path / "plot.png") as picture:
            pixels = np.asarray(picture)
        assert pixels.shape == (460, width, 3)
        column = pixels[45:403, 56 + 342]  # within the last bin, that of confidence 1
        assert (column[:170] == (240, 176, 170)).all(axis=1).mean() > 0.9  # the gap to what it promises
        assert (column[190:340] == (66, 116, 178)).all(axis=1).all()  # half are right
