"""The discriminator's side of the brief's training: Adam on ``L_adv``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from styletransfer.discriminator import PatchGan
from styletransfer.metrics.adversarial import discriminator_loss, generator_loss
from styletransfer.training.config import TrainingConfig
from styletransfer.training.feeding import Batch
from styletransfer.training.optimising import Learner
from styletransfer.training.sampling import restore_rng, rng_state


class Pool:
    """Keeps outputs and shows old ones again, so that the discriminator does not forget them.

    Half of the time what it is asked about is an output of before, which the new one replaces.

    Reference:
        Shrivastava et al. Learning from Simulated and Unsupervised Images through Adversarial
        Training. CVPR 2017.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []
        self.rng = np.random.Generator(np.random.PCG64([seed, 1]))

    def exchange(self, outputs: Tensor) -> Tensor:
        """Return as many outputs, some of them from before."""
        if not self.size:
            return outputs
        return torch.cat([self._exchange_one(output) for output in torch.split(outputs, 1)])

    def _exchange_one(self, output: Tensor) -> Tensor:
        if len(self.kept) < self.size:
            self.kept.append(output)
            return output
        if self.rng.random() < 0.5:
            return output
        place = int(self.rng.integers(self.size))
        shown, self.kept[place] = self.kept[place], output
        return shown

    def state(self) -> dict[str, Any]:
        """Return what the next exchanges depend on."""
        return {"kept": list(self.kept), "rng": rng_state(self.rng)}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from a state."""
        self.kept = [output.to(device) for output in state["kept"]]
        restore_rng(self.rng, state["rng"])


@dataclass(frozen=True)
class Judgement:
    """What the discriminator thought in one step; means over the batch."""

    loss: Tensor
    real_score: float
    made_score: float


class Adversary:
    """A discriminator that learns beside the generator.

    Args:
        network: judges outputs in 0..1.
        config: rates, pool, penalties.
        shared: the same network as seen by several processes that share its gradients.
    """

    def __init__(
        self, network: PatchGan, config: TrainingConfig, shared: nn.Module | None = None
    ) -> None:
        self.network, self.config = network, config
        self.shared = shared or network
        self.pool = Pool(config.pool, config.seed)
        self.learner = Learner(
            network,
            config.discriminator_rate,
            config.discriminator_beta1,
            schedule=config.schedule,
            clip_norm=config.clip_norm,
        )

    def weigh(self, outputs: Tensor, batch: Batch, progress: float) -> Judgement:
        """Judge paintings and outputs, whose loss ``learn`` then takes a step by.

        Raises:
            NonFiniteInput: the loss is not finite.
        """
        self.network.requires_grad_(True)
        self.learner.begin(progress)
        real = self.shared(batch.reals)
        made = self.shared(self.pool.exchange(outputs))
        loss = self._compare(real, made, batch)
        if self.config.r1:
            loss = loss + self.config.r1 / 2 * self.penalise(batch.reals)
        return Judgement(loss, float(real.detach().mean()), float(made.detach().mean()))

    def learn(self, judgement: Judgement) -> None:
        """Take one step towards telling paintings from outputs."""
        self.learner.gather(judgement.loss)
        self.learner.step()

    def judge(self, outputs: Tensor) -> Tensor:
        """Return the generator's adversarial loss, a mean; the discriminator learns nothing."""
        self.network.requires_grad_(False)
        return generator_loss(self.network(outputs)).mean()

    def penalise(self, reals: Tensor) -> Tensor:
        """Return the mean squared norm of the judgement's gradient on paintings, R1.

        Reference:
            Mescheder, Geiger, Nowozin. Which Training Methods for GANs do actually Converge?
            ICML 2018.
        """
        pictures = reals.detach().requires_grad_(True)
        scores = self.network(pictures).mean(dim=(1, 2, 3)).sum()
        (slopes,) = torch.autograd.grad(scores, pictures, create_graph=True)
        return slopes.double().square().sum(dim=(1, 2, 3)).mean()

    def _compare(self, real: Tensor, made: Tensor, batch: Batch) -> Tensor:
        target, share = 1 - self.config.smoothing, self.config.photo_share
        loss = discriminator_loss(real, made, real_target=target)
        if share:
            taken = self.shared(batch.negatives)
            loss = (1 - share) * loss
            loss = loss + share * discriminator_loss(real, taken, real_target=target)
        return loss
