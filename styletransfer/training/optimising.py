"""Adam's steps and rates, gradients over processes, and averaged weights."""

import copy
import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from styletransfer.training.config import Schedule


def rate_factor(schedule: Schedule, progress: float) -> float:
    """Return what a learning rate is multiplied by after a share of all steps.

    ``linear`` stays at 1 for half of them and then falls to 0, as CycleGAN's does; ``cosine`` falls
    along a half cosine to a twentieth.
    """
    if schedule == "linear":
        return min(1.0, 2 - 2 * progress)
    if schedule == "cosine":
        return float(0.525 + 0.475 * np.cos(np.pi * progress))
    return 1.0


class Learner:
    """A network's Adam with its rate, and how much guards have slowed it down."""

    def __init__(
        self, network: nn.Module, rate: float, beta1: float, *, schedule: Schedule, clip_norm: float
    ) -> None:
        self.network, self.rate = network, rate
        self.schedule, self.clip_norm = schedule, clip_norm
        self.adam = Adam(network.parameters(), rate, (beta1, 0.999))
        self.slowed = 1.0
        # In half precision small gradients would be lost; without it this passes them on.
        self.scaler = torch.amp.GradScaler("cuda", enabled=False)

    @property
    def current_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.adam.param_groups[0]["lr"])

    def begin(self, progress: float) -> None:
        """Set the rate and forget gradients."""
        for group in self.adam.param_groups:
            group["lr"] = self.rate * self.slowed * rate_factor(self.schedule, progress)
        self.adam.zero_grad(set_to_none=True)

    def gather(self, loss: Tensor) -> None:
        """Add a loss's gradients."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self) -> float:
        """Clip gradients and take a step, unless they are not finite; return their norm."""
        self.scaler.unscale_(self.adam)
        norm = float(gradient_norm(self.network.parameters()))
        if self.clip_norm and norm > self.clip_norm:
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(self.clip_norm / norm)
        if math.isfinite(norm) or self.scaler.is_enabled():
            self.scaler.step(self.adam)
            self.scaler.update()
        return norm


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return the norm of all gradients together."""
    return torch.nn.utils.get_total_norm(
        [parameter.grad for parameter in parameters if parameter.grad is not None]
    )


class Average:
    """An exponential moving average of a network's weights; its buffers are copied."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the network; at the start faster, or its first weights would linger."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.network.parameters(), network.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)
        for copy_of, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            copy_of.copy_(buffer)


def clamp(images: Tensor) -> Tensor:
    """Limit to 0..1 as scoring does, yet pass gradients as if nothing had been cut off."""
    return images + (images.clamp(0, 1) - images).detach()
