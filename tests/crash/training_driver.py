"""Trainings in processes that can be killed and hit at any file operation, each quick to start.

python training_driver.py KIND FEATURES: reads requests, one JSON object a line, from standard input:
{"run": FOLDER, "fault": NAME or null, "at": K, "log": FILE or null, "kill_after": SECONDS or null}, and answers each
with a line {"code": exit code or -signal, "error": message, "seconds": how long it took}.

torch is imported once; a request is answered by a child of this process, which itself never computes anything.
"""

import json
import os
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from faults import Faults

sys.path.append(str(Path(__file__).parents[1]))
import torch._dynamo  # what the first optimizer would import
from small_features import finetune_config, pretrain_config
from small_segments import segmentation_config

from vidrep.config.reader import load_recipe
from vidrep.config.settings import EncoderSettings, FinetuneConfig, PretrainWindows
from vidrep.errors import VidrepError
from vidrep.features.store import open_features
from vidrep.segments.segment import Annotations, Segment
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train
from vidrep.training.segmentation import finetune_segments

with suppress(ImportError):
    import tensorboard.compat.proto.event_pb2
    import tensorboard.summary.writer.record_writer  # noqa: F401

SETTINGS: dict[str, Any] = {"steps": 8, "validate_every": 4, "checkpoint_every": 3}
SELECTION: dict[str, Any] = {
    "encoder.hidden_size": 5,
    "training.steps": 4,
    "training.ensemble": 2,
    "selection.folds": 2,
    "test_fraction": 0.0,
}
FOLDS: dict[str, Any] = {
    "encoder.hidden_size": 5,
    "training.steps": 4,
    "training.batch_size": 4,
    "selection.folds": 2,
    "test_folds": 2,
}
EARLIER_SEED = 5


def train_or_resume(kind: str, features: Path, run: Path) -> None:
    """Train, or go on if there is a run.

    Kind "overwrite" is a pretraining that takes the place of an earlier one, with the seed EARLIER_SEED; kind
    "transfer" a fine-tuning from the run "pretrained" beside the features; kind "ensemble" one of two models; kind
    "selection" such a one that chooses among candidates first; kind "folds" one that does so for each of two folds, and
    for all videos; kind "contrast" a pretraining by views; kind "segments" one that labels frames.
    """
    written = run / "config.toml"
    how: dict[str, Any] = {"device": "cpu", "precision": "fp32", "threads": 1, "resume": written.exists()}
    if kind == "overwrite" and (not written.exists() or f"seed = {EARLIER_SEED}\n" in written.read_text("utf-8")):
        how |= {"resume": False, "overwrite": True}
    if kind == "finetune":
        finetune(open_features(features), run, finetune_config(**SETTINGS), **how)
    elif kind == "segments":
        halves = ((0, 4, "first"), (4, 8, "second"))
        segments = [Segment(row.path, *half) for row in open_features(features).videos for half in halves]
        finetune_segments(
            open_features(features), run, Annotations.of(segments), segmentation_config(**SETTINGS), **how
        )
    elif kind == "ensemble":
        finetune(open_features(features), run, finetune_config(ensemble=2, **SETTINGS), **how)
    elif kind == "selection":
        finetune(open_features(features), run, load_recipe(FinetuneConfig, changes=SELECTION), **how)
    elif kind == "folds":
        finetune(open_features(features), run, load_recipe(FinetuneConfig, changes=FOLDS), **how)
    elif kind == "contrast":
        views = {"objectives": ("contrast",)}
        train(
            open_features(features), run, pretrain_config(windows=PretrainWindows(), settings=views, **SETTINGS), **how
        )
    elif kind == "transfer":
        config = finetune_config(encoder=EncoderSettings(dropout=0.3), **SETTINGS)
        finetune(open_features(features), run, config, pretrained=features.with_name("pretrained"), **how)
    else:
        train(open_features(features), run, pretrain_config(**SETTINGS), **how)


def child(kind: str, features: Path, request: dict[str, Any], errors: int) -> int:
    run = Path(request["run"])
    if request.get("fault") or request.get("log"):
        log = Path(request["log"]) if request.get("log") else None
        Faults(run.parent, fault=request.get("fault"), at=request.get("at", 0), log=log)
    try:
        train_or_resume(kind, features, run)
    except VidrepError as error:
        os.write(errors, str(error).encode())
        return error.exit_code
    except BaseException as error:
        os.write(errors, f"{type(error).__name__}: {error}".encode())
        return 99
    return 0


def answer(kind: str, features: Path, request: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os._exit(child(kind, features, request, writing))
    os.close(writing)
    if request.get("kill_after") is not None:
        time.sleep(request["kill_after"])
        os.kill(pid, signal.SIGKILL)  # a child that has ended is there until it is waited for
    with open(reading, "rb") as pipe:  # noqa: PTH123
        message = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), "error": message, "seconds": time.monotonic() - began}


def main() -> None:
    warnings.simplefilter("ignore")
    kind, features = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(kind, features, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
