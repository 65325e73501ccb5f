"""`vidrep export-features`: what it prints, and how it fails."""

from pathlib import Path

import numpy as np
from running import one_line, vidrep
from small_features import features_of


def test_it_writes_a_file_a_video(tmp_path: Path) -> None:
    features = features_of(tmp_path, {"run/a.npy": np.zeros((4, 3), dtype=np.float32)})
    out = tmp_path / "out"
    arguments: list[object] = ["export-features", features.path, "-o", out, "--format", "mstcn"]
    code, stdout, stderr = vidrep(*arguments)
    assert (code, stdout) == (0, f"{out}: 1 videos, 4 frames of 3 values for mstcn\n")
    assert stderr.startswith(f"warning: {out}: MS-TCN does not hold: times")
    assert np.load(out / "run__a.npy").shape == (3, 4)
    one_line(arguments, 5, "run__a.npy exists", "--overwrite")
    assert vidrep(*arguments, "--overwrite", "-qq")[:2] == (0, "")
    one_line([*arguments[:-1], "xyz"], 2, "format 'xyz'", "npy, actionformer, mstcn, cbas")
    one_line(["export-features", tmp_path / "none.h5", "-o", out], 3, "no such file")
