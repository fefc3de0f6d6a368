"""What the machine is and how fast it multiplies: everything else is judged against that."""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scripts.bench import peers
from scripts.bench.timing import interleave
from styletransfer.convolution import FrozenConvolution, has_onednn

SIDE = 2048


def describe() -> dict[str, Any]:
    """Name what figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "versions": peers.versions(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@dataclass(frozen=True)
class Work:
    """Something to run and the floating point operations that it takes."""

    flop: float
    run: Callable[[], object]


class Yardstick:
    """float32 matrix products, to be measured in turn with what they are to judge.

    ``gemm`` is ``torch.mm``, as the bars have it. On some processors the library behind it uses
    narrower instructions than oneDNN, which convolutions run on: ``gemm_onednn`` is the fastest of
    some large products that oneDNN is asked for, and the stricter judge of the two.
    """

    def __init__(self) -> None:
        left, right = torch.rand(2, SIDE, SIDE)
        out = torch.empty(SIDE, SIDE)
        self.gemm = Work(2 * SIDE**3, lambda: torch.mm(left, right, out=out))

    @cached_property
    def onednn(self) -> Work:
        """The fastest of the candidates; ``torch.mm`` where torch has no oneDNN."""
        works = [_convolution(512, 3, 64), _convolution(2048, 1, 45), _convolution(256, 3, 128)]
        if not has_onednn():
            return self.gemm
        named = {str(number): work for number, work in enumerate(works)}
        taken = interleave({name: work.run for name, work in named.items()}, 3)
        return max(works, key=lambda work: work.flop / taken[str(works.index(work))])

    def variants(self) -> dict[str, Callable[[], object]]:
        """Return both, to be measured in turn with others."""
        return {"gemm": self.gemm.run, "gemm_onednn": self.onednn.run}

    def rates(self, taken: Mapping[str, float]) -> dict[str, float]:
        """Return both rates, floating point operations per CPU second, of seconds measured so."""
        return {
            "gemm": self.gemm.flop / taken["gemm"],
            "gemm_onednn": self.onednn.flop / taken["gemm_onednn"],
        }


def _convolution(channels: int, kernel: int, side: int) -> Work:
    layer = FrozenConvolution(
        channels, channels, (kernel, kernel), padding=(kernel // 2, kernel // 2)
    ).requires_grad_(False)
    maps = torch.rand(1, channels, side, side).contiguous(memory_format=torch.channels_last)
    flop = 2 * channels**2 * kernel**2 * side**2

    def run() -> object:
        with torch.inference_mode():
            return layer(maps)

    return Work(flop, run)


def count_flop(network: nn.Module, images: torch.Tensor) -> float:
    """Count the floating point operations of a forward pass; a product and a sum are two."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    return float(counter.get_total_flops())
