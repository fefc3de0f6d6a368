"""How outputs were made, as far as that is measured; free of torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Making:
    """What one run of a generator took.

    Attributes:
        picture_s: seconds of each picture; the first with loading.
        parameters: how many weights were loaded.
        memory_bytes: what loading and running added to the memory at most.
    """

    picture_s: Sequence[float]
    parameters: int
    memory_bytes: int


def measure_making(runs: Sequence[Making]) -> dict[str, float]:
    """Return what was measured over some runs, by the keys of the metrics that ask for it."""
    # The first picture of each waited for the checkpoint to be loaded.
    steady = [each for run in runs for each in run.picture_s[1:]]
    return {
        "ms_per_image": round(1000 * median(steady or [run.picture_s[0] for run in runs]), 3),
        "parameters": max(run.parameters for run in runs),
        "peak_memory": max(run.memory_bytes for run in runs),
    }
