"""Several processes that train one model together, as torchrun starts them; each is a rank, a lone one is rank 0 of 1.

Every rank has the whole model and takes a part of every batch, as pieces of a batch are computed one after the other;
gradients and figures are summed over ranks, so that all of them do the same optimizer step. Rank 0 alone writes.

A rank that fails says why in torchrun's store before it closes its connections. The others, which were waiting for it
or soon will, then raise the same error: nobody is left behind, and what rank 0 reports is the reason, whoever had it.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from hashlib import sha256
from itertools import count
from textwrap import shorten
from typing import TYPE_CHECKING, Any, TypeVar

from .. import errors
from ..errors import ConfigError, InputError, Stopped, TrainingError, VidrepError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Made = TypeVar("Made")

# A rank that was killed is missed at once, for its connections close; a host that vanished, after so long.
_MOST_SILENCE = timedelta(minutes=10)
# While rank 0 does something alone, such as measuring the finished model, the others have nothing to say.
_MOST_WORK_ALONE = timedelta(days=1)
# Others that are not waiting yet, as they read their features, hear of a failure when they come to it, or not at all.
_SECONDS_TO_BE_HEARD = 10.0
_SECONDS_BETWEEN_LOOKS = 0.02
# Tensors of fewer values are summed as one: an exchange takes longer to begin than these take to send.
_FEW_VALUES = 1 << 16
_REASON, _NUM_LEFT, _FINDER, _GPU = "reason", "left", "finder", "gpu"
# Of torch's reasons why there is no connection, which go on with where in its sources that was found.
_MOST_LETTERS = 200


class Ranks:
    """The ranks of a training, seen by one of them; by itself, the only one there is, for which all of this is free."""

    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes."""
        return self.rank == 0

    def part(self, batch_size: int) -> slice:
        """Return which windows of a batch are this rank's: parts as equal as can be.

        Raises ConfigError if there are fewer windows than ranks.
        """
        if batch_size < self.size:
            raise ConfigError(
                f"training.batch_size {batch_size}: {self.size} processes share each batch; give at least {self.size}, "
                f"or start at most {batch_size} processes"
            )
        return slice(batch_size * self.rank // self.size, batch_size * (self.rank + 1) // self.size)

    def device(self, device: "torch.device") -> "torch.device":
        """Return the device that this rank trains on; ConfigError if it has none of its own."""
        return device

    def seed(self, seed: int, step: int) -> None:
        """Seed torch for what a step draws, such as dropout: anew on each of several ranks, while one draws on."""

    def start_sum(self, tensor: "Tensor") -> None:
        """Begin to sum a tensor over all ranks, in place; in the same order on all of them."""

    def finish_sums(self) -> None:
        """Wait until all that was begun is summed."""

    def all_reduce(self, figures: dict[str, "Tensor"]) -> dict[str, "Tensor"]:
        """Return the sums over all ranks of scalars of one type, with the same names everywhere."""
        return figures

    def any(self, *wishes: bool) -> list[bool]:
        """Say of each wish whether any rank has it."""
        return list(wishes)

    def call_on_rank_zero(self, make: Callable[[], Made]) -> Made:
        """Do or make something on rank 0 alone, while the others wait; return it to all, or fail on all."""
        return make()

    def on_rank_zero(self, context: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        """Return a context on rank 0, and one that does nothing on the others; nobody waits."""
        return context

    def broadcast(self, tensors: Iterable["Tensor"]) -> None:
        """Overwrite tensors with rank 0's."""

    def require_same(self, **things: object) -> None:
        """Raise InputError, naming the first, if things, which are known by their repr, are other than rank 0's."""


ALONE = Ranks()


def is_one_of_several() -> bool:
    """Say whether torchrun, or what sets the same variables, started this process and others."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 and {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


def is_main_process() -> bool:
    """Say whether this process is one to print: unless it joined others, of which rank 0 prints for all."""
    return _is_main_process


_is_main_process = True
_joined: "_JoinedRanks | None" = None
_joinings = count()


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the processes that torchrun started, for a block that all of them run; within another, it is that one's.

    An error that leaves the block on one rank leaves it on all of them, the next time they have to wait for each other.
    Raises TrainingError if a rank cannot be reached, or ended without a word.
    """
    global _joined, _is_main_process
    if _joined is not None or not is_one_of_several():
        yield _joined or ALONE
        return
    ranks = _joined = _JoinedRanks()
    _is_main_process = ranks.is_first
    try:
        yield ranks
        ranks.call_on_rank_zero(lambda: None)
    except Stopped:  # all of them do at the same step
        raise
    except Exception as error:
        ranks.tell(error)
        raise
    finally:
        _joined = None
        ranks.leave()


class _JoinedRanks(Ranks):
    """One of several ranks: tensors on a CPU are exchanged by gloo, those on GPUs by NCCL."""

    def __init__(self) -> None:
        import torch
        import torch.distributed as dist

        self._dist, self._torch = dist, torch
        self._told = False
        # torch documents both names without exporting them by its own rules.
        rendezvous, prefixed = dist.rendezvous, dist.PrefixStore  # type: ignore[attr-defined]
        try:
            store, self.rank, self.size = next(rendezvous("env://", timeout=_MOST_SILENCE))
        except (RuntimeError, ValueError) as error:
            where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            raise TrainingError(
                f"no connection to the other processes by MASTER_ADDR:MASTER_PORT {where} ({_short(error)}); give the "
                "first host's name or address and a port that is free there, the same on all hosts"
            ) from error
        # A process may join several times, one training after the other.
        store = prefixed(f"vidrep/{next(_joinings)}", store)
        self._store = prefixed("words", store)
        self._sums: list[dist.Work] = []
        self._small: list[Tensor] = []
        has_nccl = torch.cuda.is_available() and dist.is_nccl_available()
        with self._naming_the_lost():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if has_nccl else "gloo",
                store=prefixed("group", store),
                rank=self.rank,
                world_size=self.size,
                timeout=_MOST_SILENCE,
            )
            self._patient: Any = dist.new_group(backend="gloo", timeout=_MOST_WORK_ALONE)

    def device(self, device: "torch.device") -> "torch.device":
        if device.type == "mps":
            raise ConfigError(
                f"device {device.type}: one process only; give --device cpu, or start it without torchrun"
            )
        if device.type != "cuda":
            return device
        num_devices = self._torch.cuda.device_count()
        # Some launchers show each process one GPU, its own.
        number = int(os.environ.get("LOCAL_RANK", "0")) if num_devices > 1 else 0
        if number >= num_devices or not self._claims(self._torch.cuda.get_device_properties(number)):
            raise ConfigError(
                f"device cuda: {socket.gethostname()} has {num_devices} GPUs and more processes; give "
                f"--nproc-per-node {num_devices}, or --device cpu"
            )
        self._torch.cuda.set_device(number)
        return self._torch.device("cuda", number)

    def _claims(self, gpu: Any) -> bool:
        """Say whether no other rank has a GPU, which is this one's from now on."""
        owner = str(self.rank)
        return self._store.compare_set(f"{_GPU}/{gpu.uuid}", "", owner).decode() == owner

    def seed(self, seed: int, step: int) -> None:
        number = int.from_bytes(sha256(f"{seed} {step} {self.rank}".encode()).digest()[:8])
        self._torch.default_generator.manual_seed(number)
        if self._torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            self._torch.cuda.manual_seed(number)

    def start_sum(self, tensor: "Tensor") -> None:
        if tensor.numel() < _FEW_VALUES:
            self._small.append(tensor)
            return
        with self._naming_the_lost():
            work = self._dist.all_reduce(tensor, async_op=True)
        assert work is not None
        self._sums.append(work)

    def finish_sums(self) -> None:
        with self._naming_the_lost():
            if self._small:
                together = self._torch.cat([tensor.flatten() for tensor in self._small])
                self._dist.all_reduce(together)
                parts = together.split([tensor.numel() for tensor in self._small])  # type: ignore[no-untyped-call]
                for tensor, part in zip(self._small, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))
            for work in self._sums:
                work.wait()
        self._small.clear()
        self._sums.clear()

    def all_reduce(self, figures: dict[str, "Tensor"]) -> dict[str, "Tensor"]:
        total = self._torch.stack(list(figures.values()))
        with self._naming_the_lost():
            self._dist.all_reduce(total)
        return dict(zip(figures, total.unbind(), strict=True))

    def any(self, *wishes: bool) -> list[bool]:
        counts = self._torch.tensor(wishes, dtype=self._torch.int32)
        with self._naming_the_lost():
            self._dist.all_reduce(counts)
        return [count > 0 for count in counts.tolist()]

    def call_on_rank_zero(self, make: Callable[[], Made]) -> Made:
        made = [make() if self.is_first else None]
        with self._naming_the_lost():
            self._dist.broadcast_object_list(made, 0, group=self._patient)
        return made[0]  # type: ignore[return-value]

    def on_rank_zero(self, context: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        return context if self.is_first else nullcontext()

    def broadcast(self, tensors: Iterable["Tensor"]) -> None:
        with self._naming_the_lost():
            for tensor in tensors:
                self._dist.broadcast(tensor, 0)

    def require_same(self, **things: object) -> None:
        hashes = {name: sha256(repr(thing).encode()).hexdigest() for name, thing in things.items()}
        first = self.call_on_rank_zero(lambda: hashes)
        for name, thing in things.items():
            if hashes[name] != first[name]:
                here = f" ({thing})" if isinstance(thing, str) else ""
                raise InputError(f"other {name}{here} than on rank 0; give every process the same")
        with self._naming_the_lost():  # nobody goes on, and writes, before all have found the same
            self._dist.barrier(self._patient)  # some may have read slowly

    @contextmanager
    def _naming_the_lost(self) -> Iterator[None]:
        """Turn a connection that was closed, or that has been silent for too long, into the reason."""
        try:
            yield
        except RuntimeError as error:
            from .preparation import is_lack_of_memory

            if is_lack_of_memory(error):
                raise
            self._told = True
            raise self._reason(error) from error

    def _reason(self, error: RuntimeError) -> VidrepError:
        """Return what another rank told; else that one is lost, which rank 0 prints and the first other to find it."""
        global _is_main_process
        finder = str(self.rank)
        with suppress(RuntimeError):  # the store may be lost too
            if self._store.check([_REASON]):
                name, message = json.loads(self._store.get(_REASON))
                reason: VidrepError = getattr(errors, name)(message)
                return reason
            if not self.is_first:  # rank 0 may be the one that is lost
                finder = self._store.compare_set(_FINDER, "", finder).decode()
        _is_main_process = finder == str(self.rank)
        return TrainingError(
            f"one of {self.size} processes was killed, or has not answered for {_MOST_SILENCE.seconds // 60} minutes; "
            f"the same command with --resume goes on from the last checkpoint ({_short(error)})"
        )

    def tell(self, error: Exception) -> None:
        """Tell the others why this rank leaves, unless they told it, and give them a little time to hear that."""
        kind, message = type(error).__name__, f"rank {self.rank} on {socket.gethostname()}: {error}"
        if not isinstance(error, VidrepError):
            kind, message = TrainingError.__name__, f"rank {self.rank} on {socket.gethostname()}: {kind}: {error}"
        with suppress(RuntimeError):  # the store may be lost
            if not self._told:
                self._store.compare_set(_REASON, "", json.dumps([kind, message]))
            num_left, deadline = self._store.add(_NUM_LEFT, 1), time.monotonic() + _SECONDS_TO_BE_HEARD
            self.leave()
            while not self._told and num_left < self.size and time.monotonic() < deadline:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                num_left = self._store.add(_NUM_LEFT, 0)

    def leave(self) -> None:
        """Close the connections to the others."""
        self._small.clear()
        self._sums.clear()
        if self._dist.is_initialized():
            del self._patient
            self._dist.destroy_process_group()


def _short(error: Exception) -> str:
    return shorten(str(error), _MOST_LETTERS)
