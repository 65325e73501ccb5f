"""The run folder: what a training leaves behind.

config.toml         every setting, resolved
videos.csv          which video was in which part, with its label and the checksum of its rows
environment.json    versions, device, threads
metrics.jsonl       one line a look: step, training and validation figures
model.safetensors, model.json      the best weights so far, and how to use them
baselines.safetensors              classifiers without an LSTM, fitted on the same videos (fine-tuning only)
checkpoints/last.pt                everything needed to go on
"""

import csv
import io
import json
import pickle
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
import torch

from .. import __version__
from ..config import FinetuneConfig, PretrainConfig, to_mapping
from ..errors import InputError, OutputError
from ..features.table import VideoRow
from ..files import replacing, write_text
from ..sequences.partition import Partition

CHECKPOINT_VERSION = 1


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint_path = path / "checkpoints" / "last.pt"
        self._metrics_path = path / "metrics.jsonl"
        self._config_path = path / "config.toml"

    def prepare(self, config: PretrainConfig | FinetuneConfig, *, resume: bool, overwrite: bool) -> None:
        """Make the folder new, or check that it can be gone on with, and write the config into it.

        Raises OutputError if it exists and neither is wanted, or if it is resumed with other settings; InputError if
        there is nothing to resume.
        """
        settings = to_mapping(config)
        if resume:
            if not self.checkpoint_path.is_file():
                raise InputError(f"{self.path}: no checkpoint to resume; leave --resume out to start a new run")
            self._require_same_config(settings)
            return
        if self.path.exists() and not overwrite:
            if not self.path.is_dir() or any(self.path.iterdir()):
                raise OutputError(
                    f"{self.path} exists; give a new folder, --resume to go on or --overwrite to start anew"
                )
        elif self.path.exists():
            self._require_a_run()
            shutil.rmtree(self.path)
        self.checkpoint_path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self._config_path, tomli_w.dumps(settings))

    def _require_a_run(self) -> None:
        """Refuse to remove a folder that is anything but a run."""
        known = {"config.toml", "videos.csv", "environment.json", "metrics.jsonl", "model.safetensors", "model.json"}
        known |= {"baselines.safetensors", "checkpoints", "samples"}
        strange = (
            [] if not self.path.is_dir() else [file.name for file in self.path.iterdir() if file.name not in known]
        )
        if strange or not self.path.is_dir():
            what = strange[0] if strange else "a file"
            raise OutputError(
                f"{self.path} is not removed: it holds {what}, which is no part of a run; give a new folder"
            )

    def _require_same_config(self, settings: Mapping[str, Any]) -> None:
        import tomllib

        try:
            before = _flat(tomllib.loads(self._config_path.read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{self._config_path}: cannot be read ({error})") from error
        now = _flat(settings)
        changed = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
        if changed:
            name = changed[0]
            raise OutputError(
                f"{self.path}: resumed with {name} {now.get(name)!r}, the run has {before.get(name)!r}; "
                "resume with the same recipe and settings, or give a new folder"
            )

    def write_videos(self, rows: Sequence[VideoRow], labels: Sequence[str], partition: Partition) -> None:
        """Write videos.csv: which video is in which part."""
        part_of = {index: part for part in ("train", "validation", "test") for index in getattr(partition, part)}
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(["video", "label", "part", "checksum"])
        table.writerows(
            [row.path, labels[index], part_of[index], row.checksum]
            for index, row in enumerate(rows)
            if index in part_of
        )
        write_text(self.path / "videos.csv", text.getvalue())

    def write_environment(self, device: torch.device) -> None:
        """Write environment.json: what the run was computed with."""
        environment = {
            "vidrep": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "system": platform.system(),
            "machine": platform.machine(),
            "device": str(device),
            "threads": torch.get_num_threads(),
        }
        write_text(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with self._metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def cut_metrics(self, step: int) -> None:
        """Drop the lines of metrics.jsonl that come after `step`: they are written again."""
        if self._metrics_path.exists():
            lines = self._metrics_path.read_text(encoding="utf-8").splitlines(keepends=True)
            complete = [line for line in lines if line.endswith("\n")]
            write_text(self._metrics_path, "".join(line for line in complete if json.loads(line)["step"] <= step))

    def save_checkpoint(self, content: Mapping[str, Any]) -> None:
        """Publish the checkpoint."""
        with replacing(self.checkpoint_path) as temporary:
            torch.save({"version": CHECKPOINT_VERSION, **content}, temporary)

    def load_checkpoint(self) -> dict[str, Any]:
        """Read the checkpoint, without running code that is in it.

        Raises InputError if it is damaged or of another version.
        """
        path = self.checkpoint_path
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            version = content["version"]
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path}: not a checkpoint that can be read ({reason})") from error
        if version != CHECKPOINT_VERSION:
            raise InputError(f"{path}: a checkpoint of version {version}; this vidrep reads {CHECKPOINT_VERSION}")
        checkpoint: dict[str, Any] = content
        return checkpoint


def read_parts(folder: Path) -> dict[str, tuple[str, str]]:
    """Read videos.csv of a run: the part and the checksum of each of its videos, by key."""
    try:
        with (folder / "videos.csv").open(encoding="utf-8", newline="") as file:
            return {row["video"]: (row["part"], row["checksum"]) for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise InputError(f"{folder}: videos.csv cannot be read ({error}); is it a run folder?") from error


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
