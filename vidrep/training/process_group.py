"""The ranks of a training that has several processes, connected by torch.distributed.

A rank that fails stores the reason in the store of the launcher before it closes its connections. The other ranks,
which wait for it then or later, find their connection closed, read the reason and raise the same error. So no rank is
left waiting, and rank 0 prints the reason, whichever rank had it. (`torch.distributed.elastic`'s `record` writes a
reason to a file that only the launcher of the same host reads: the other ranks would report a closed connection.)
"""

import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from hashlib import sha256
from textwrap import shorten
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# torch documents both names without exporting them by mypy's rules.
from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

from .. import errors
from ..devices import is_out_of_memory
from ..errors import ConfigError, InputError, TrainingError, VidrepError
from .collectives import Made, Ranks

# The connections of a killed process close at once; a host that vanished is given up after this time.
_EXCHANGE_TIMEOUT = timedelta(minutes=10)
# While rank 0 does something alone, such as measuring the finished model, the others only wait.
_RANK_ZERO_TIMEOUT = timedelta(days=1)
# A rank that fails waits this long for the others to read why; they may be reading features meanwhile.
_READ_TIMEOUT = timedelta(seconds=10)
# Where a rank is lost, rank 0 reports it, unless it does not within this time: it may be the one that is lost.
_RANK_ZERO_REPORT_TIMEOUT = timedelta(seconds=0.5)
# Smaller tensors are summed as one: to begin an exchange takes longer than to send this many values.
_MIN_VALUES_ALONE = 1 << 16
# torch's reasons go on with the places in its source code.
_MAX_REASON_LETTERS = 200
# Keys of the store; a failure is [the rank that prints it, class of the error, message].
_FAILURE, _NUM_LEFT, _ALL_LEFT, _GPU = "failure", "num_left", "all_left", "gpu"


class ProcessGroup(Ranks):
    """One of several ranks. Tensors on a CPU are exchanged by gloo, those on GPUs by NCCL.

    is_main_process: whether this rank prints: rank 0, or the rank that reports the loss of another.
    """

    def __init__(self, name: str) -> None:
        """Connect to the other processes, under a name that no earlier group of theirs had.

        Raises TrainingError if a process cannot be reached.
        """
        store, self.rank, self.size = _rendezvous()
        self.is_main_process = self.is_rank_zero
        self._store = PrefixStore(f"{name}/ranks", store)
        self._exchanges: list[dist.Work] = []
        self._small: list[Tensor] = []
        has_nccl = torch.cuda.is_available() and dist.is_nccl_available()
        with self._raising_failures():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if has_nccl else "gloo",
                store=PrefixStore(f"{name}/group", store),
                rank=self.rank,
                world_size=self.size,
                timeout=_EXCHANGE_TIMEOUT,
            )
            self._rank_zero_group: Any = dist.new_group(backend="gloo", timeout=_RANK_ZERO_TIMEOUT)

    def device(self, device: torch.device) -> torch.device:
        if device.type == "mps":
            raise ConfigError(
                f"device {device.type}: one process only; give --device cpu, or start it without torchrun"
            )
        if device.type != "cuda":
            return device
        num_devices = torch.cuda.device_count()
        # Some launchers give each process one GPU of its own, as number 0.
        number = int(os.environ.get("LOCAL_RANK", "0")) if num_devices > 1 else 0
        if number >= num_devices or not self._claim(torch.cuda.get_device_properties(number)):
            raise ConfigError(
                f"device cuda: {socket.gethostname()} has {num_devices} GPUs and more processes; give "
                f"--nproc-per-node {num_devices}, or --device cpu"
            )
        torch.cuda.set_device(number)
        return torch.device("cuda", number)

    def _claim(self, gpu: Any) -> bool:
        """Make a GPU this rank's; return whether no other rank has it."""
        owner = str(self.rank)
        return self._store.compare_set(f"{_GPU}/{gpu.uuid}", "", owner).decode() == owner

    def seed(self, seed: int, step: int) -> None:
        number = int.from_bytes(sha256(f"{seed} {step} {self.rank}".encode()).digest()[:8])
        torch.default_generator.manual_seed(number)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed(number)

    def start_all_reduce(self, tensor: Tensor) -> None:
        if tensor.numel() < _MIN_VALUES_ALONE:
            self._small.append(tensor)
            return
        with self._raising_failures():
            exchange = dist.all_reduce(tensor, async_op=True)
        assert exchange is not None
        self._exchanges.append(exchange)

    def finish_all_reduces(self) -> None:
        with self._raising_failures():
            if self._small:
                joined = torch.cat([tensor.flatten() for tensor in self._small])
                dist.all_reduce(joined)
                sums = joined.split([tensor.numel() for tensor in self._small])  # type: ignore[no-untyped-call]
                for tensor, total in zip(self._small, sums, strict=True):
                    tensor.copy_(total.view_as(tensor))
            for exchange in self._exchanges:
                exchange.wait()
        self._small.clear()
        self._exchanges.clear()

    def all_reduce(self, metrics: dict[str, Tensor]) -> dict[str, Tensor]:
        totals = torch.stack(list(metrics.values()))
        with self._raising_failures():
            dist.all_reduce(totals)
        return dict(zip(metrics, totals.unbind(), strict=True))

    def gather(self, shard: Tensor, batch_size: int) -> Tensor:
        gathered: Tensor = _GatheredBatch.apply(shard, self, batch_size)
        return gathered

    def sum_now(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all ranks, in place, and wait for it."""
        with self._raising_failures():
            dist.all_reduce(tensor)
        return tensor

    def any(self, *flags: bool) -> list[bool]:
        counts = torch.tensor(flags, dtype=torch.int32)
        with self._raising_failures():
            dist.all_reduce(counts)
        return [count > 0 for count in counts.tolist()]

    def call_on_rank_zero(self, function: Callable[[], Made]) -> Made:
        result = [function() if self.is_rank_zero else None]
        with self._raising_failures():
            dist.broadcast_object_list(result, 0, group=self._rank_zero_group)
        return result[0]  # type: ignore[return-value]

    def on_rank_zero(self, context: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        return context if self.is_rank_zero else nullcontext()

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        with self._raising_failures():
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def require_same(self, **values: object) -> None:
        hashes = {name: sha256(repr(value).encode()).hexdigest() for name, value in values.items()}
        of_rank_zero = self.call_on_rank_zero(lambda: hashes)
        for name, value in values.items():
            if hashes[name] != of_rank_zero[name]:
                here = f" ({value})" if isinstance(value, str) else ""
                raise InputError(f"other {name}{here} than on rank 0; give every process the same")
        with self._raising_failures():  # no rank goes on, and writes, before all have compared
            dist.barrier(self._rank_zero_group)  # the slowest reader of features may take long

    @contextmanager
    def _raising_failures(self) -> Iterator[None]:
        """Turn a connection that was closed, or that timed out, into the failure of the rank at its other end."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise self._failure(error) from error

    def _failure(self, error: RuntimeError) -> VidrepError:
        """Return the failure that a rank has stored; if none has, store and return that a rank is lost."""
        minutes, reason = _EXCHANGE_TIMEOUT.seconds // 60, shorten(str(error), _MAX_REASON_LETTERS)
        lost = (
            f"one of {self.size} processes was killed, or has not answered for {minutes} minutes; the same command "
            f"with --resume goes on from the last checkpoint ({reason})"
        )
        failure: list[Any] = [self.rank, TrainingError.__name__, lost]
        with suppress(RuntimeError):  # the store may be lost too: then every rank prints
            if not self.is_rank_zero:
                with suppress(dist.DistStoreError):
                    self._store.wait([_FAILURE], _RANK_ZERO_REPORT_TIMEOUT)
            failure = json.loads(self._store.compare_set(_FAILURE, "", json.dumps(failure)))
        printer, kind, message = failure
        self.is_main_process = printer == self.rank
        raised: VidrepError = getattr(errors, kind, TrainingError)(message)
        return raised

    def report(self, error: Exception) -> None:
        """Store why this rank fails, unless a failure is stored; close its connections; let the others read it."""
        kind, message = type(error).__name__, str(error)
        if not isinstance(error, VidrepError):
            kind, message = TrainingError.__name__, f"{kind}: {message}"
        failure = json.dumps([0, kind, f"rank {self.rank} on {socket.gethostname()}: {message}"])
        with suppress(RuntimeError):  # the store may be lost
            is_reason = self._store.compare_set(_FAILURE, "", failure).decode() == failure
            if self._store.add(_NUM_LEFT, 1) == self.size:
                self._store.set(_ALL_LEFT, "")
            self.close()
            if is_reason:
                self._store.wait([_ALL_LEFT], _READ_TIMEOUT)

    def close(self) -> None:
        """Close the connections to the other ranks."""
        self._small.clear()
        self._exchanges.clear()
        if dist.is_initialized():
            del self._rank_zero_group
            dist.destroy_process_group()


class _GatheredBatch(torch.autograd.Function):
    """A batch from the shards of all ranks; the gradient of a shard is the sum of what all ranks have for it.

    Shards differ in size, so each rank writes its own into zeros, which are summed: exact, as x + 0 is x.
    """

    @staticmethod
    def forward(ctx: Any, shard: Tensor, ranks: ProcessGroup, batch_size: int) -> Tensor:
        ctx.ranks, ctx.batch_size = ranks, batch_size
        whole = shard.new_zeros((batch_size, *shard.shape[1:]))
        whole[ranks.shard(batch_size)] = shard
        return ranks.sum_now(whole)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = ctx.ranks.sum_now(gradients[0].contiguous().clone())
        return total[ctx.ranks.shard(ctx.batch_size)], None, None


def _rendezvous() -> tuple[Any, int, int]:
    """Return the launcher's store, this process's rank, and the number of ranks."""
    try:
        found: tuple[Any, int, int] = next(rendezvous("env://", timeout=_EXCHANGE_TIMEOUT))
    except (RuntimeError, ValueError) as error:
        reason = shorten(str(error), _MAX_REASON_LETTERS)
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrainingError(
            f"no connection to the other processes by MASTER_ADDR:MASTER_PORT {address} ({reason}); give "
            "the first host's name or address and a port that is free there, the same on all hosts"
        ) from error
    return found
