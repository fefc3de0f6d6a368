"""One step of the brief's training: the discriminator learns, then the generator."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from styletransfer.devices import CPU
from styletransfer.discriminator import PatchGan
from styletransfer.errors import NonFiniteInput
from styletransfer.generators import Network
from styletransfer.training.adversary import Adversary
from styletransfer.training.config import TrainingConfig
from styletransfer.training.feeding import Batch
from styletransfer.training.objective import Objective
from styletransfer.training.optimising import Learner
from styletransfer.training.painting import Painter
from styletransfer.training.precision import autocast
from styletransfer.training.processes import Processes, hold_back

_NAN = float("nan")
T = TypeVar("T")


@dataclass
class Figures:
    """What a step measured; NaN where it was given up."""

    content: float = _NAN
    style: float = _NAN
    adversarial: float = _NAN
    discriminator: float = _NAN
    real_score: float = _NAN
    made_score: float = _NAN
    gradient_norm: float = _NAN


class Learning:
    """Both networks with all that changes them.

    Args:
        config: weights of the losses, rates, precision.
        generator: of the registry.
        discriminator: None where there is no adversarial loss.
        objective: the content and style losses.
        processes: those that share the batches.
    """

    def __init__(
        self,
        config: TrainingConfig,
        generator: Network,
        discriminator: PatchGan | None,
        objective: Objective,
        processes: Processes,
        device: torch.device = CPU,
    ) -> None:
        self.config, self.generator, self.objective = config, generator, objective
        self.processes, self.device = processes, device
        compiled: nn.Module = torch.compile(generator) if config.compile else generator  # type: ignore[assignment]
        self.shared = processes.share(compiled)
        self.painter = Painter(generator.architecture, device)
        self.learner = Learner(
            generator,
            config.generator_rate,
            config.generator_beta1,
            schedule=config.schedule,
            clip_norm=config.clip_norm,
        )
        self.adversary = None
        if discriminator is not None:
            self.adversary = Adversary(discriminator, config, processes.share(discriminator))
        if config.precision == "float16" and device.type == "cuda":
            for learner in self.learners:
                learner.scaler = torch.amp.GradScaler("cuda")

    @property
    def learners(self) -> list[Learner]:
        """The generator's, and the discriminator's if there is one."""
        return [self.learner, *([self.adversary.learner] if self.adversary else [])]

    def copy(self, batch: Batch) -> float:
        """Teach the generator to return its photographs: a better start than noise."""
        self.learner.begin(0)
        with self.autocast():
            copied = self.painter.paint(self.shared, batch.contents, batch.contents, limit=False)
        error = (copied - batch.contents).square().mean()
        self.learner.gather(error)
        self.learner.step()
        return float(error.detach())

    def learn(self, batch: Batch, progress: float, figures: Figures) -> Tensor:
        """Teach the discriminator, then the generator; return the outputs.

        Raises:
            NonFiniteInput: a loss is not finite; nothing more was learned.
        """
        parts = list(batch.split(self.config.accumulate))
        is_whole = len(parts) == 1
        # In parts, outputs are made again for the generator's gradients: that is what saves memory.
        with torch.set_grad_enabled(is_whole):
            outputs = [self._paint(part, self.shared if is_whole else None) for part in parts]
        made = torch.cat([output.detach() for output in outputs])
        if self.adversary:
            self._teach(self.adversary, made, batch, progress, figures)
        self.learner.begin(progress)
        for place, part in enumerate(parts):
            with hold_back(self.shared, is_last=place + 1 == len(parts)):
                output = outputs[place] if is_whole else self._paint(part, self.shared)
                losses = self._agree(partial(self._weigh, part, output))
                self.learner.gather(losses[-1] / len(parts))
            shares = [float(loss.detach()) / len(parts) for loss in losses]
            for name, share in zip(("content", "style", "adversarial"), shares, strict=False):
                before = getattr(figures, name) if place else 0.0
                setattr(figures, name, before + share)
        figures.gradient_norm = self.learner.step()
        return made

    def _teach(
        self, adversary: Adversary, made: Tensor, batch: Batch, progress: float, figures: Figures
    ) -> None:
        with self.autocast():
            judgement = self._agree(partial(adversary.weigh, made, batch, progress))
        adversary.learn(judgement)
        figures.discriminator = float(judgement.loss.detach())
        figures.real_score, figures.made_score = judgement.real_score, judgement.made_score

    def _weigh(self, part: Batch, output: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return content, style and adversarial loss, and the brief's total of them."""
        config = self.config
        content, style = self.objective.measure(output, part)
        adversarial = torch.zeros_like(content)
        if self.adversary:
            with self.autocast():
                adversarial = self.adversary.judge(output)
        terms = config.alpha * content, config.beta * style, config.gamma * adversarial
        return content, style, adversarial, sum(terms[1:], terms[0])

    def _paint(self, part: Batch, network: nn.Module | None) -> Tensor:
        with self.autocast():
            return self.painter.paint(network or self.generator, part.contents, part.styles)

    def _agree(self, compute: Callable[[], T]) -> T:
        """Return what is computed, unless it is not finite in any of the processes.

        They have to agree before gradients are shared, or some would wait for ever.
        """
        found = None
        with suppress(NonFiniteInput):
            found = compute()
        if self.processes.any(found is None) or found is None:
            raise NonFiniteInput("a loss is not finite")
        return found

    def autocast(self) -> AbstractContextManager[None]:
        """Run networks in the precision that was chosen, on a GPU."""
        return autocast(self.config.precision, self.device)
