"""The brief's training: Adam on the discriminator and on the generator, in turn.

The generator minimises ``alpha content + beta style + gamma adversarial``, the discriminator
learns to tell paintings (1) from what the generator made (0).
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from styletransfer.devices import CPU, describe_device
from styletransfer.discriminator import PatchGan
from styletransfer.errors import NonFiniteInput, StyleTransferError
from styletransfer.generators import Network
from styletransfer.training.checkpoints import write_checkpoint
from styletransfer.training.config import TrainingConfig
from styletransfer.training.events import (
    Copied,
    Event,
    Finished,
    Listener,
    Sampled,
    Saved,
    Started,
    Stepped,
    Warned,
)
from styletransfer.training.feeding import Batch, Feeder, TrainingPictures
from styletransfer.training.guards import REMEDIES, Diversity, Finding, Guards
from styletransfer.training.learning import Figures, Learning
from styletransfer.training.objective import Objective
from styletransfer.training.optimising import Average
from styletransfer.training.pictures import make_grid
from styletransfer.training.processes import Processes
from styletransfer.training.sampling import Sampler
from styletransfer.training.states import States
from styletransfer.training.stopping import StopRequests

MOST_ROLLBACKS = 5
SAMPLES = 4
_NAN = float("nan")


class TrainingFailed(StyleTransferError):
    """A training can't be saved by going back and slowing down; says what to change."""


class Trainer:
    """Trains a generator, and a discriminator beside it where there is one, in place.

    Args:
        config: how.
        generator: of the registry; its weights are where training starts.
        discriminator: None where ``config.gamma`` is 0.
        objective: the content and style losses.
        pictures: what is trained on.
        listeners: are told of every event, in the first process.
        processes: those that share the batches.
    """

    def __init__(
        self,
        config: TrainingConfig,
        generator: Network,
        discriminator: PatchGan | None,
        objective: Objective,
        pictures: TrainingPictures,
        *,
        listeners: Sequence[Listener] = (),
        processes: Processes | None = None,
        device: torch.device = CPU,
    ) -> None:
        self.config, self.generator = config, generator
        self.processes = processes or Processes()
        self.listeners, self.device = listeners, device
        self.learning = Learning(
            config, generator, discriminator, objective, self.processes, device
        )
        self.average = Average(generator, config.ema) if config.ema else None
        self.feeder = Feeder(
            pictures,
            Sampler(
                pictures.sizes,
                seed=config.seed,
                batch=config.batch,
                judged=config.judged,
                copying_steps=config.copying_steps,
                with_styles=config.mode == "arbitrary",
            ),
            device=device,
            rank=self.processes.rank,
            world=self.processes.world,
        )
        self.guards, self.diversity = Guards(), Diversity()
        self.states = States(self)
        self.done = self.rollbacks = 0

    @property
    def best(self) -> nn.Module:
        """The generator as it is to be saved: averaged weights where they are kept."""
        return self.average.network if self.average else self.generator

    @property
    def steps(self) -> int:
        """All steps there are, those that teach to copy included."""
        return self.config.copying_steps + self.config.steps

    def run(self, out: Path | None = None) -> bool:
        """Train to the end, or until the process is asked to stop; return whether it is the end.

        Args:
            out: folder for checkpoints; without one there are none.

        Raises:
            TrainingFailed: guards could not save it.
        """
        weights = sum(each.numel() for each in self.generator.parameters())
        self.tell(
            Started(
                self.config.to_json(), self.done, self.steps, describe_device(self.device), weights
            )
        )
        self.generator.train()
        with StopRequests() as requests:
            while self.done < self.steps:
                self._advance(out)
                if self.processes.any(requests.is_asked) and self.done < self.steps:
                    self._save(out)
                    self.tell(Finished(self.done, is_complete=False, generator=None))
                    return False
        self._save(out)
        self.best.eval()
        self.feeder.close()
        return True

    def tell(self, event: Event) -> None:
        """Hand an event to all listeners."""
        if self.processes.is_first:
            for listener in self.listeners:
                listener(event)

    def sample(self) -> Sampled:
        """Paint a few of the photographs; which ones is always the same."""
        contents, styles = self.learning.painter.choose_samples(self.feeder.pictures, SAMPLES)
        network = self.best
        was_training = network.training
        network.eval()
        with torch.no_grad():
            outputs = self.learning.painter.paint(network, contents, styles)
        network.train(was_training)
        rows = [contents, *([styles] if styles is not None else []), outputs]
        return Sampled(self.done, make_grid(rows))

    def _advance(self, out: Path | None) -> None:
        """Do one step and what is due after it."""
        config = self.config
        if self.done == 0 and out and self.processes.is_first:
            self.tell(self.sample())
        batch = self.feeder.next(is_last=self.done + 1 == self.steps)
        number = self.done - config.copying_steps
        if number < 0:
            error = self.learning.copy(batch)
            self.tell(Copied(self.done, self.steps, error))
        else:
            self._step(batch, number)
        self.done += 1
        if self.average:
            self.average.follow(self.generator, self.done)
        is_due = self.done % config.sample_every == 0 or self.done == self.steps
        if out and is_due and self.processes.is_first:
            self.tell(self.sample())
        if self.done % config.save_every == 0 and self.done < self.steps:
            self._save(out)

    def _save(self, out: Path | None) -> None:
        if out is None:
            return
        state = self.states.collect()  # in all processes
        if self.processes.is_first:
            self.tell(Saved(self.done, write_checkpoint(out, state)))

    def _step(self, batch: Batch, number: int) -> None:
        """Take a step with both networks, look at it, and mend what went wrong."""
        started = time.perf_counter()
        is_due = number % self.config.snapshot_every == 0
        if self.config.guards and is_due and self.guards.are_calm:
            self.states.remember()
        figures, diversity = Figures(), None
        try:
            made = self.learning.learn(batch, number / self.config.steps, figures)
            diversity = self.diversity.add(made, batch.contents)
        except NonFiniteInput:
            figures = Figures()
        stepped = self._report(figures, diversity, started)
        self.tell(stepped)
        if not self.config.guards:
            if stepped.total != stepped.total:
                raise TrainingFailed(f"step {self.done}: the losses are not finite")
            return
        separation = stepped.real_score - stepped.made_score if self.learning.adversary else None
        is_finite = (
            math.isfinite(stepped.gradient_norm) or self.learning.learner.scaler.is_enabled()
        )
        total = stepped.total if is_finite else _NAN
        finding = self.guards.look(total, separation, stepped.diversity)
        if finding:
            self._mend(finding)

    def _report(self, figures: Figures, diversity: float | None, started: float) -> Stepped:
        """Make an event of a step's figures, means over all processes."""
        measured = [*vars(figures).values(), _NAN if diversity is None else diversity]
        means = self.processes.mean(measured)
        content, style, adversarial, loss, real, made, norm, spread = means
        config, adversary = self.config, self.learning.adversary
        return Stepped(
            step=self.done,
            steps=self.steps,
            content=content,
            style=style,
            adversarial=adversarial,
            total=config.alpha * content + config.beta * style + config.gamma * adversarial,
            discriminator=loss if adversary else 0.0,
            real_score=real if adversary else 0.0,
            made_score=made if adversary else 0.0,
            generator_rate=self.learning.learner.current_rate,
            discriminator_rate=adversary.learner.current_rate if adversary else 0.0,
            gradient_norm=norm,
            diversity=None if math.isnan(spread) else spread,
            seconds=time.perf_counter() - started,
        )

    def _mend(self, finding: Finding) -> None:
        """Do what helps against a trouble, and say so.

        Raises:
            TrainingFailed: it came back too often.
        """
        remedy = REMEDIES[finding.trouble]
        factors = remedy.slows_generator, remedy.slows_discriminator
        for learner, factor in zip(self.learning.learners, factors, strict=False):
            learner.slowed *= factor
        done = remedy.text
        if remedy.goes_back:
            self.rollbacks += 1
            done = f"{done} (step {self.states.go_back(remedy.goes_back)})"
            self.guards.begin_again()
            self.diversity = Diversity()
        self.tell(Warned(self.done, finding.trouble, finding.text, done))
        if self.rollbacks > MOST_ROLLBACKS:
            raise TrainingFailed(
                f"step {self.done}: {finding.text}, for the {self.rollbacks}th time; lower the "
                "learning rates, gamma or beta, or set clip_norm"
            )
