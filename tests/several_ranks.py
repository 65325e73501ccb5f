"""Trainings by several ranks, each a process, without torchrun and quick to start.

python several_ranks.py FEATURES: reads requests, one JSON object a line, from standard input and answers each with the
list of every rank's result. torch is imported once; ranks are children of this process, which never computes.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # what the first optimizer would import
from small_features import circles, features_of, write_mnist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

import vidrep
from vidrep.config.segmentation import SegmentationConfig
from vidrep.config.settings import FinetuneConfig, PretrainConfig
from vidrep.errors import VidrepError
from vidrep.features.store import Features
from vidrep.progress import Progress
from vidrep.segments.segment import Annotations, Segment
from vidrep.training import session
from vidrep.training.fitting import run_fitting
from vidrep.training.loop import run_training
from vidrep.training.ranks import is_main_process, joined_ranks

SMALL: dict[str, Any] = {
    "encoder.hidden_size": 5,
    "optimizer.warmup_steps": 2,
    "training.steps": 10,
    "training.batch_size": 5,  # two ranks have shards of different sizes
    "training.validate_every": 4,
    "training.checkpoint_every": 3,
    "training.validation_fraction": 0.2,
}
VIEWS = {"views.num_frames": 4, "views.clip_seconds": 5.0}
CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "pretrain": (PretrainConfig, {"windows.context": 3, "windows.num_future": 2, "windows.stride": 2}),
    "contrast": (PretrainConfig, {"objectives": ["contrast"]} | VIEWS),
    "composite and views": (
        PretrainConfig,
        {"objectives": ["reconstruction", "future", "contrast", "balanced_prototypes"], "encoder.dropout": 0.0}
        | {"windows.context": 3, "windows.num_future": 2, "windows.stride": 2}
        | VIEWS,
    ),
    "generated": (PretrainConfig, {"windows.context": 3, "windows.num_future": 2, "moving_mnist.canvas": 29}),
    "finetune": (FinetuneConfig, {"windows.length": 5, "windows.stride": 2, "selection.enabled": False}),
    "segments": (SegmentationConfig, {"windows.length": 5, "windows.margin": 1, "windows.stride": 2}),
}


# As long as torchrun lets the others live when one fails, made shorter.
SECONDS_OF_GRACE = 4.0


class SeveralRanks:
    """Asks for trainings; hosts the store through which ranks find each other, as torchrun does."""

    def __init__(self, folder: Path) -> None:
        videos = circles(7) | {"left/short.npy": circles(1, num_frames=3)["left/00.npy"]}
        self.features = features_of(folder, videos).path
        write_mnist(folder, splits=["train"])
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.features)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, run: Path | str, *, ranks: int, **request: Any) -> list[dict[str, Any]]:
        """Train with `ranks` processes; return each one's exit code, error, warnings, ...

        kind: a name of CONFIGS. group: a pattern of groups. settings: of the config. resume. kill: [rank,
        step] of a SIGKILL; kill_after: [rank, seconds]. stop: [rank, step] at which a rank is asked to stop. missing: a
        rank that finds no features. other_seed: a rank that is given another one. other: [rank, option, value] of
        another call. start: the run that a fine-tuning starts from. draw: in place of a training, the steps at
        which to draw a number.
        """
        timeout = timedelta(seconds=60)
        store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False, timeout=timeout)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"run": str(run), "ranks": ranks, "port": store.port, **request}) + "\n")
        self._process.stdin.flush()
        answer: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate()


def train(features: Path, rank: int, request: dict[str, Any]) -> dict[str, Any]:
    kind = request.get("kind", "pretrain")
    config_class, windows = CONFIGS[kind]
    own = {"training.seed": 1} if request.get("other_seed") == rank else {}
    config = vidrep.load_recipe(config_class, changes=SMALL | windows | request.get("settings", {}) | own)
    kill, stop = request.get("kill"), request.get("stop")
    weights: list[str] = []
    position = 0

    def listen(progress: Progress) -> None:
        nonlocal position
        position = progress.done
        if kill == [rank, position]:
            os.kill(os.getpid(), signal.SIGKILL)

    def recording(run: Callable[..., Any], task: Any, *passed: Any, **named: Any) -> Any:
        outcome = run(task, *passed, **named)
        state = task.model.state_dict()
        weights.append(sha256(b"".join(state[name].numpy().tobytes() for name in sorted(state))).hexdigest())
        return outcome

    session.run_training = partial(recording, run_training)  # type: ignore[attr-defined]
    session.run_fitting = partial(recording, run_fitting)  # type: ignore[attr-defined]
    with joined_ranks():
        if request.get("missing") == rank:
            features = features.with_name("missing.h5")
        trainings: dict[str, Callable[..., Any]] = {"finetune": vidrep.finetune, "segments": finetune_segments}
        other_rank, option, value = request.get("other", (None, "", None))
        result = trainings.get(kind, vidrep.train)(
            None if kind == "generated" else vidrep.open_features(features),
            request["run"],
            config,
            device="cpu",
            threads=1,
            **({"mnist": features.parent} if kind == "generated" else {}),
            **({"pretrained": request["start"]} if "start" in request else {}),
            **({"group_pattern": request["group"]} if "group" in request else {}),
            **{"precision": "fp32", "resume": request.get("resume", False)}
            | ({option: value} if other_rank == rank else {}),
            on_progress=listen,
            should_stop=lambda: stop is not None and rank == stop[0] and position + 1 >= stop[1],
        )
    result_of_rank = {"weights": weights[0], "best_loss": result.outcome.best_loss, "steps": result.outcome.steps}
    return result_of_rank | ({} if kind in trainings else {"validation": repr(result.validation)})


def finetune_segments(features: Features, run: str, config: SegmentationConfig, **options: Any) -> Any:
    """Train on videos whose first two frames are of one label, and the third of another one."""
    parts = ((0, 2, "first"), (2, 3, "second"))
    annotations = Annotations.of([Segment(row.path, *part) for row in features.videos for part in parts])
    return vidrep.finetune_segments(features, run, annotations, config, **options)


def draw(rank: int, request: dict[str, Any]) -> dict[str, Any]:
    """Draw a number at each of some steps, for each of which the ranks join anew."""
    drawn = []
    for step in request["draw"]:
        with joined_ranks() as ranks:
            ranks.seed(7, step)
            drawn.append(float(torch.rand(())))
    return {"drawn": drawn}


class Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        logging.getLogger("vidrep").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def child(features: Path, rank: int, request: dict[str, Any], pipe: int) -> int:
    several = {"RANK": str(rank), "WORLD_SIZE": str(request["ranks"]), "LOCAL_RANK": str(rank)}
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(request["port"]), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ.update(several | where)
    messages, result, code = Messages(), dict[str, Any](), 0
    try:
        result = draw(rank, request) if "draw" in request else train(features, rank, request)
    except VidrepError as error:
        code, result["error"] = error.exit_code, f"{type(error).__name__}: {error}"
    except BaseException as error:
        code, result["error"] = 99, f"{type(error).__name__}: {error}"
    os.write(pipe, json.dumps({**result, "is_main_process": is_main_process(), "warnings": messages.messages}).encode())
    return code


def answer(features: Path, request: dict[str, Any]) -> list[dict[str, Any]]:
    began, children = time.monotonic(), []
    for rank in range(request["ranks"]):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os._exit(child(features, rank, request, writing))
        os.close(writing)
        children.append((pid, reading))
    if "kill_after" in request:
        rank, seconds = request["kill_after"]
        time.sleep(seconds)
        os.kill(children[rank][0], signal.SIGKILL)  # a child that has ended is there until it is waited for
    ended = wait_as_torchrun([pid for pid, _ in children], began)
    answers = []
    for (_, reading), how in zip(children, ended, strict=True):
        with open(reading, "rb") as pipe:  # noqa: PTH123
            answers.append({**json.loads(pipe.read() or "{}"), **how})
    return answers


def wait_as_torchrun(pids: list[int], began: float) -> list[dict[str, Any]]:
    """Wait for all processes; if one fails, end the others a while later."""
    ended: dict[int, dict[str, Any]] = {}
    failed_at = float("inf")
    while len(ended) < len(pids):
        now = time.monotonic()
        for pid in set(pids) - ended.keys():
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                ended[pid] = {"code": os.waitstatus_to_exitcode(status), "seconds": now - began}
                failed_at = min(failed_at, now if status else failed_at)
            elif now > failed_at + SECONDS_OF_GRACE:
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.01)
    return [ended[pid] for pid in pids]


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(Path(sys.argv[1]), json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
