"""The first 20 losses of some recipes, made small, are those that are written down."""

import json
from pathlib import Path

import numpy as np
from golden_losses import RECIPES, golden_losses

# Products are summed in another order on another processor or with another torch; a changed equation shows at once.
RELATIVE_TOLERANCE = 1e-4
WRITTEN = Path(__file__).with_name("golden_losses.json")


def test_losses_of_twenty_steps_are_those_written_down(tmp_path: Path) -> None:
    """After a change that is meant, `python tests/golden_losses.py > tests/training/golden_losses.json` renews them."""
    written = json.loads(WRITTEN.read_text(encoding="utf-8"))
    found = golden_losses(tmp_path)
    assert written.keys() == found.keys() == RECIPES.keys()
    for recipe, losses in found.items():
        assert len(losses) == 20
        np.testing.assert_allclose(losses, written[recipe], rtol=RELATIVE_TOLERANCE, err_msg=recipe)
        assert len(set(losses)) == 20  # every step changed something
