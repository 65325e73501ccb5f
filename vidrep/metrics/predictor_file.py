"""predictor.json of a run: which of its classifiers predicts. Reading it imports no torch."""

import json
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import InputError
from ..files import write_text

PREDICTOR_NAME = "predictor.json"
PredictorKind = Literal["lstm", "linear", "average"]
FORMAT, VERSION = "vidrep-predictor", 1


def predictor_name(kind: PredictorKind, reads: str) -> str:
    """Return what messages call a predictor; reads: what its logistic regression reads of a video."""
    return {"lstm": "LSTM", "linear": reads, "average": f"average of LSTM and {reads}"}[kind]


def write_predictor(
    folder: Path,
    kind: PredictorKind,
    reads: str,
    *,
    C: float = 0.0,  # noqa: N803
    temperature: float = 1.0,
    final_temperature: float = 1.0,
) -> None:
    """Write it into a run folder, see `read_predictor`; raises OutputError if that is impossible."""
    described = {"format": FORMAT, "version": VERSION, "kind": kind, "reads": reads, "C": C}
    described |= {"temperature": temperature, "final_temperature": final_temperature}
    write_text(folder / PREDICTOR_NAME, json.dumps(described, indent=2, ensure_ascii=False) + "\n")


def read_predictor(folder: Path) -> dict[str, Any]:
    """Read kind, reads, C and temperatures from a run folder; {} if it has no predictor.json.

    One of an earlier version has no final_temperature.

    Raises InputError if that cannot be read.
    """
    path = folder / PREDICTOR_NAME
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = content.pop("format"), content.pop("version")
        if found != (FORMAT, VERSION) or content["kind"] not in get_args(PredictorKind):
            raise ValueError(f"{found[0]} version {found[1]}, predictor {content['kind']!r}")
        content = {"final_temperature": 1.0, **content}
        if content.keys() != {"kind", "reads", "C", "temperature", "final_temperature"}:
            raise ValueError(f"it holds {', '.join(content)}")
        for name in ("temperature", "final_temperature"):
            if not content[name] > 0:
                raise ValueError(f"{name} {content[name]}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unusable_predictor(folder, error) from error
    return content


def predictor_of(folder: Path) -> str:
    """Return what messages call the predictor of a run folder; raises as `read_predictor` does."""
    found = read_predictor(folder)
    return predictor_name(found["kind"], found["reads"]) if found else predictor_name("lstm", "")


def unusable_predictor(folder: Path, error: Exception) -> InputError:
    """Build the error for a predictor.json that names nothing usable."""
    return InputError(
        f"{folder / PREDICTOR_NAME}: names no predictor that can be used ({error}); the run is damaged: train it again"
    )
