"""Several processes that train one network together, as torchrun starts them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, network: nn.Module) -> nn.Module:
        """Return the network as one whose gradients are means over all processes."""
        if self.world == 1:
            return network
        # Buffers are statistics of a process's own pictures; weights begin equal by the seed.
        return DistributedDataParallel(network, broadcast_buffers=False)

    def any(self, flag: bool) -> bool:
        """Tell whether it holds in any process; all of them have to ask."""
        if self.world == 1:
            return flag
        votes = torch.tensor(float(flag))
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return bool(votes)

    def mean(self, values: Sequence[float]) -> list[float]:
        """Return the means over all processes, in double precision."""
        if self.world == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return cast(list[float], (sums / self.world).tolist())

    def gather(self, value: Any) -> list[Any]:
        """Return what each process has, in the first one; nothing in others."""
        if self.world == 1:
            return [value]
        found: list[Any] | None = [None] * self.world if self.is_first else None
        dist.gather_object(value, found)
        return found or []


def hold_back(network: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
    """Keep gradients in this process where more of the same batch follow."""
    if is_last or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started; alone without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes()
        return
    # Votes and means travel on the CPU, gradients of a GPU by NCCL.
    dist.init_process_group("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
