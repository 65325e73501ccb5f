"""How many lines each method costs: the file behind its door, docstrings and comments included.

python benchmarks/method_lines.py      writes docs/results/method-lines.md
"""

import inspect
from collections import defaultdict
from pathlib import Path

from recording import ROOT, facts

from vidrep.registry import CELLS, HEADS, OBJECTIVES, TRANSFORMS

GOAL = 120
SHARED = {
    "lstm: the conditions of a stable one": "models/cells/stable_lstm.py",
    "rnn: the bound of its spectral norm": "models/cells/projections.py",
    "constraints of any cell, kept after each step": "training/constraints.py",
    "encoders of both directions": "models/bidirectional.py",
    "anchors, and a truncated gradient of the classification": "models/stretches.py",
    "attention of decoders": "models/attention.py",
    "transfer by collocation": "models/collocated.py",
    "symbols: compression and groups (ABBA)": "symbolic/abba.py",
    "symbols: the letters": "symbolic/codebook.py",
    "symbols: surprise as a series": "symbolic/surprise.py",
}
"""Methods that are no entry of a registry."""


def main() -> None:
    """Count, and write the page."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for kind, registry in {"cell": CELLS, "objective": OBJECTIVES, "head": HEADS, "transform": TRANSFORMS}.items():
        for name in registry._built_in:
            module = Path(inspect.getfile(registry[name])).resolve()
            by_file[str(module.relative_to(ROOT))].append(f"{kind} {name}")
    for name, path in SHARED.items():
        by_file[f"vidrep/{path}"].append(name)
    lines = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in by_file}
    rows = [f"| {', '.join(names)} | {path} | {lines[path]} |" for path, names in by_file.items()]
    page = (
        f"# Lines that a method costs\n\n{facts()}\nMade by `python benchmarks/method_lines.py`: lines of the file "
        f"behind a method's door, docstrings and comments included. The goal is fewer than {GOAL}: "
        f"{sum(count < GOAL for count in lines.values())} of {len(lines)} files. What several share (affine maps, "
        "kernels of the LSTM, the base classes) is not counted.\n\n| method | file | lines |\n|---|---|---|\n"
        + "\n".join(rows)
    )
    (ROOT / "docs" / "results" / "method-lines.md").write_text(page + "\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
