"""Words that vidrep does not use any more: identifiers, keys, options, columns and phrases of earlier versions.

Each has its scope, for many a word that is retired as an identifier is plain English elsewhere.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# History keeps its words; what maps old files and keys must name them; this test lists them.
HISTORY = {
    "CHANGELOG.md",
    "docs/log.md",
    "tests/test_words.py",
    "tests/config/test_reader.py",
    "tests/features/golden.py",
    "tests/golden_losses.py",
    "tests/training/test_earlier_versions.py",
    "vidrep/config/old_keys.py",
    "vidrep/features/version_1.py",
}
# Files that show an old name beside the new one, or a name that is refused.
SHOWN_AS_OLD = {
    "docs/feature-file.md",
    "tests/config/test_checks.py",
    "tests/extraction/test_extract.py",
    "tests/extraction/test_frame_preparation.py",
    "tests/features/test_store.py",
    "tests/test_registry.py",
}

CODE, EVERYWHERE = ("*.py",), ("*.py", "*.md", "*.toml")

IDENTIFIERS = """
    evaluate_every plateau_looks num_looks_since_best look_size held_apart hold_apart num_held_apart Partition
    partition_videos piece_slices Piece accumulate set_computation squashed read_out start_at_mean start_at
    EndlessSampler Ahead cut_windows thin_out add_up copy_from_first from_first on_first speaks lay_over Labelling
    LabelledVideos read_labelling OverlayResult report_listing Place sweep tidy hand_on crew Verdict judge
    frames_promised keep_freed_memory give_back_pages CompositeSettings CompositeModel ScaledModel FrameScaler
    PredictionWindows ClassificationWindows PredictionFigures prediction_figures cost_of_frames cost_of_outputs
    every_step_loss is_there choose_values fit_scaler require_fitting_features naming_lack_of_memory decay_every
    decay_factor num_predicted set_threads squared_error_standardised fast_sequence plain_sequence fast_recurrence
    cuda_recurrence sequence_choice Initialisation OptimiserSettings OptimiserStep build_optimiser
"""
DECLARATIONS = [
    r"\bproducts: torch\.dtype",
    r"\bproducts=products\b",
    r"\bvalues: Values\b",
    r"\bpart: slice\b",
]
KEYS = [
    r"model\.(hidden_size|num_layers|peepholes|activation|dropout|initiali[sz]ation|reconstruct|future|freeze)\b",
    r"model\.(conditional_(reconstruction|future)|uniform_scale|forget_bias|start_at_mean)\b",
    r"windows\.(seen|predicted|reconstructed)\b",
    r"optimiser\.",
    r"optimizer\.(decay|plateau_looks)\b",
    r"training\.(evaluate_every|accumulate|segment)\b",
    r"moving_mnist\.speed\b",
    r"classifier\.freeze_encoder\b",
    r'values = "(probability|real)"',
]
OPTIONS = [r"--grey\b", r"--predicted\b", r"--speed\b", r"region centre\b"]
BRITISH = [r"optimis", r"initialis", r"standardis", r"normalis", r"colour", r"\bgrey", r"centre\b"]
PHRASES = [
    r"held[ -]apart",
    r"Weights of which a figure says",
    r"who read its progress has gone",
    r"what it says of what stands in",
    r"for who only wants the state",
    r"it knows no task",
    r"chose the weights,",
    r"kills who has not ended",
    r"laid over",
    r"last look\b",
    r"\blooks? at held",
    r"a sign of life",
    r"without being told",
    r"Deals out",
    r"gives? back the past",
    r"\bthe last frame seen\b",
    r"gone through\b",
]


def files(patterns: tuple[str, ...]) -> list[Path]:
    """Return the tracked files, and those that are to be, but for history."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [ROOT / name for name in names if name not in HISTORY and (ROOT / name).is_file()]
    assert len(found) > 10
    return found


def uses(pattern: str, patterns: tuple[str, ...]) -> list[str]:
    """Return where a pattern stands, "path:line: text"."""
    expression = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files(patterns)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if expression.search(line)
    ]


@pytest.mark.parametrize("identifier", IDENTIFIERS.split())
def test_no_identifier_of_earlier_versions(identifier: str) -> None:
    assert uses(rf"(?<![\w.-]){identifier}(?=\s*[(=:.,\])]|$)", CODE) == []


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_no_parameter_of_earlier_versions(declaration: str) -> None:
    assert uses(declaration, CODE) == []


@pytest.mark.parametrize("key", KEYS)
def test_no_recipe_key_of_earlier_versions(key: str) -> None:
    assert uses(key, EVERYWHERE) == []


@pytest.mark.parametrize("option", OPTIONS)
def test_no_option_of_earlier_versions(option: str) -> None:
    assert uses(option, EVERYWHERE) == []


@pytest.mark.parametrize("spelling", BRITISH)
def test_american_spelling(spelling: str) -> None:
    found = [use for use in uses(spelling, EVERYWHERE) if use.partition(":")[0] not in SHOWN_AS_OLD]
    assert found == []


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_phrase_that_an_editor_would_send_back(phrase: str) -> None:
    assert uses(phrase, EVERYWHERE) == []
