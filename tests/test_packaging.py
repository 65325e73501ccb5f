"""The package holds what the tree holds, and the house keeps its rules."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODE = sorted([*(ROOT / "vidrep").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])
assert len(CODE) > 40


def imported(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, relative ones as `.package.module` without leading dots."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_every_package_on_disk_is_in_the_wheel() -> None:
    annotations = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    on_disk = {".".join(path.parent.relative_to(ROOT).parts) for path in CODE}
    assert {name.replace("cli", "vidrep_cli") if name == "cli" else name for name in on_disk} == set(annotations)


def test_each_third_party_library_has_one_home() -> None:
    homes = {
        "h5py": {"hdf5.py", "untrusted.py", "rows.py", "writer.py", "exported_arrays.py", "video_arrays.py"},
        "av": {"pyav.py", "clock.py", "changes.py", "writing.py"},
        "cv2": {"frame_folders.py"},
        "torchvision": {"cnn.py", "weights.py", "patches.py", "mnist.py"},
        "PIL": {"filmstrip.py", "curves.py", "reliability.py"},
        "sklearn": {"logistic_regression.py"},
        "threadpoolctl": {"logistic_regression.py"},
        "tensorboard": {"run_metrics.py"},
        "safetensors": {"saved.py", "baselines.py", "fitted_baselines.py", "predictor.py", "weights.py"},
    }
    for library, files in homes.items():
        users = {path.name for path in CODE if any(name.split(".")[0] == library for name in imported(path))}
        assert users, library
        assert users <= files, (library, users - files)
    typer_users = {path for path in CODE if "typer" in {name.split(".")[0] for name in imported(path)}}
    assert all(path.parent.name == "cli" for path in typer_users)


def test_imports_follow_the_flow() -> None:
    """Rooms further down the flow import those further up, never the reverse."""
    flow = ["video", "features", "segments", "extraction", "sequences", "models", "metrics", "timelines"]
    flow += ["training", "evaluation", "symbolic", "inference"]
    for path in CODE:
        room = path.parent.name
        if room not in flow:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module:
                other = node.module.split(".")[0]
                if other in flow:
                    assert flow.index(other) <= flow.index(room), f"{path.name} imports {node.module}"


def test_models_import_neither_features_nor_training() -> None:
    for path in (ROOT / "vidrep" / "models").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"from \.{2,3}(features|training)\b", source), path.name


def test_nothing_heavy_is_imported_before_a_command_needs_it() -> None:
    heavy = ("torch", "numpy", "cv2", "av", "h5py", "torchvision", "sklearn", "rich")
    code = f"import sys, vidrep, vidrep_cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_two_files_import_each_other() -> None:
    imports = {module: _own_imports(path) for module, path in MODULES.items()}
    assert sum(map(len, imports.values())) > 300
    mutual = [(one, other) for one, others in imports.items() for other in others if one in imports[other]]
    assert mutual == []


def _own_imports(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, those for types and within functions included."""
    here = _module(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            names = {".".join([*base, alias.name]) for alias in node.names} | {".".join(base)}
            found |= {name for name in names if name in MODULES}
    return found


def _module(path: Path) -> str:
    first, *others = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["vidrep_cli" if first == "cli" else first, *others]).removesuffix(".__init__")


MODULES = {_module(path): path for path in CODE}


def test_nothing_raises_the_root_of_the_errors() -> None:
    """Its exit code is that of our bugs; what is raised on purpose has a class, and a code, of its own."""
    raised = [
        f"{path.name}:{node.lineno}"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "VidrepError"
    ]
    assert raised == []


def test_sample_clips_are_small() -> None:
    clips = list((ROOT / "data" / "clips").rglob("*.mp4"))
    assert len(clips) == 32
    assert sum(clip.stat().st_size for clip in clips) < 500_000
