"""What a training tells while it runs, as values. Free of torch.

A listener is called with every event, in order, from the thread that trains, in the first process
only. What it raises ends the training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Trouble = Literal["non_finite", "spike", "discriminator_wins", "collapse"]


@dataclass(frozen=True)
class Started:
    """Training begins, or goes on from a checkpoint at ``step``.

    Attributes:
        config: every setting, as plain JSON values.
        step: steps done before; 0 for a new training.
        steps: steps there are in all.
        device: what it runs on, in words.
        parameters: weights of the generator.
    """

    config: Mapping[str, Any]
    step: int
    steps: int
    device: str
    parameters: int


@dataclass(frozen=True)
class Copied:
    """A step that taught the generator to copy; ``error`` is the mean square of 0..1 values."""

    step: int
    steps: int
    error: float


@dataclass(frozen=True)
class Stepped:
    """What one step measured. Losses are relative and not weighted, means over the batch.

    Attributes:
        step: counted from 0.
        content, style, adversarial: the generator's losses; adversarial is 0 without gamma.
        total: ``alpha content + beta style + gamma adversarial``.
        discriminator: the discriminator's loss.
        real_score, made_score: the discriminator's mean judgement of paintings and outputs.
        generator_rate, discriminator_rate: the learning rates of this step.
        gradient_norm: of the generator, before clipping.
        diversity: how much outputs differ among each other, of how much their photographs do;
            None while there are too few.
        seconds: by the clock on the wall.
    """

    step: int
    steps: int
    content: float
    style: float
    adversarial: float
    total: float
    discriminator: float
    real_score: float
    made_score: float
    generator_rate: float
    discriminator_rate: float
    gradient_norm: float
    diversity: float | None
    seconds: float


@dataclass(frozen=True)
class Warned:
    """A guard found trouble.

    Attributes:
        found: what it saw, with figures, one sentence.
        done: what was done about it, one sentence.
    """

    step: int
    trouble: Trouble
    found: str
    done: str


@dataclass(frozen=True)
class Sampled:
    """Samples of the generator as it is to be saved.

    Attributes:
        grid: (H, W, 3) 8-bit RGB; a row of photographs, a row of outputs below (with two inputs a
            row of styles between them).
    """

    step: int
    grid: NDArray[np.uint8]


@dataclass(frozen=True)
class Saved:
    """A checkpoint that training can go on from was written."""

    step: int
    path: Path


@dataclass(frozen=True)
class Finished:
    """Training ended.

    Attributes:
        step: steps done.
        is_complete: all steps were done; False after SIGTERM or Ctrl-C, when a checkpoint is there.
        generator: the trained weights; ``manifest.json`` and, if one was trained,
            ``discriminator.safetensors`` stand beside it. None unless complete.
    """

    step: int
    is_complete: bool
    generator: Path | None


Event = Started | Copied | Stepped | Warned | Sampled | Saved | Finished
Listener = Callable[[Event], None]
