"""Which stage of an extraction limits it."""

from dataclasses import asdict, dataclass
from typing import Self

from ..machine import available_cores


@dataclass(frozen=True, kw_only=True)
class StageRates:
    """Frames a second that each stage would reach if it had the machine to itself; None where nothing was done.

    Where a feature takes several frames, features count.

    decode: reading, decoding and preparing. network: the extractor. write: features to disk, parts and merge.
    """

    decode: float | None
    network: float | None
    write: float | None

    @classmethod
    def of(
        cls,
        *,
        num_frames: int,
        workers: int,
        decode_seconds: float,
        network_threads: int,
        network_seconds: float,
        network_shares_cores: bool,
        write_seconds: float,
    ) -> Self:
        """Compute rates from the time that the stages took.

        decode_seconds: core-seconds. network_seconds: of all threads together, core-seconds if `network_shares_cores`,
            which a network on the CPU does. write_seconds: by the clock.
        """
        cores = available_cores()
        lanes = min(network_threads, cores) if network_shares_cores else network_threads
        return cls(
            decode=_rate(num_frames * min(max(workers, 1), cores), decode_seconds),
            network=_rate(num_frames * lanes, network_seconds),
            write=_rate(num_frames, write_seconds),
        )

    @property
    def limiting(self) -> str:
        """The name of the slowest stage, '' if nothing was done."""
        known = {name: rate for name, rate in asdict(self).items() if rate is not None}
        return min(known, key=lambda name: known[name]) if known else ""


def _rate(num_frames: int, seconds: float) -> float | None:
    return num_frames / seconds if num_frames and seconds > 0 else None
