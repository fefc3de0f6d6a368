"""Measure outputs as they come, keeping what is needed of them and not the pictures."""

import numpy as np

from styletransfer.clock import StepClock
from styletransfer.errors import ShapeMismatch
from styletransfer.flags import measure_likeness
from styletransfer.prepared import Prepared
from styletransfer.references import require_image
from styletransfer.set_values import SetMeter
from styletransfer.shard import ShardResult
from styletransfer.values import Image
from styletransfer.vgg import to_batch


class OutputMeter:
    """Takes outputs in the order of some successive pairs, while others are still being made."""

    def __init__(self, prepared: Prepared, pairs: range) -> None:
        self._prepared, self._range = prepared, pairs
        self._clock = StepClock()
        self._pairs = prepared.meter_pairs(self._clock)
        sets = prepared.sets
        self._sets = SetMeter(prepared.recipe, sets, self._clock) if sets else None
        self._likeness: list[tuple[float, float]] = []
        self._waiting: list[Image] = []

    @property
    def taken(self) -> int:
        """How many outputs came so far."""
        return len(self._likeness)

    def take(self, output: Image) -> None:
        """Take the next pair's output; it is measured with others once a batch is full.

        Raises:
            ShapeMismatch: it is of another size than its pair, or there are no more pairs.
            NonFiniteInput: NaN or infinity came out of a network.
        """
        if self.taken == len(self._range):
            raise ShapeMismatch(f"expected {len(self._range)} outputs, one per pair, got more")
        references = self._prepared.references
        number = self._range[self.taken]
        content, style = (
            images[index]
            for images, index in zip(
                (references.contents, references.styles), references.pairs[number], strict=True
            )
        )
        require_image(output, content.shape)
        with self._clock.measure("flags"):
            self._likeness.append(measure_likeness(output, content, style))
        self._waiting.append(output)
        # By the number of the pair: the last bits of a value may depend on its neighbours in the
        # batch, and where the range begins shall not matter.
        if (number + 1) % self._prepared.batch == 0:
            self._measure()

    def finish(self) -> ShardResult:
        """Return what was measured.

        Raises:
            ShapeMismatch: a pair has no output.
            NonFiniteInput: NaN or infinity came out of a network.
        """
        if self.taken != len(self._range):
            raise ShapeMismatch(
                f"expected {len(self._range)} outputs, one per pair, got {self.taken}"
            )
        self._measure()
        prepared = self._prepared
        return ShardResult(
            pairs=self._range,
            values=self._pairs.raw(),
            features=self._sets.features() if self._sets else {},
            likeness=np.array(self._likeness, np.float64).reshape(-1, 2),
            measurements=self._clock.report() | {"prepare_s": prepared.seconds},
            arithmetic={**prepared.arithmetic, "batch": prepared.batch},
        )

    def _measure(self) -> None:
        """Measure what was taken since the last time."""
        if not self._waiting:
            return
        numbers = self._range[self.taken - len(self._waiting) : self.taken]
        batch = to_batch(self._waiting, self._prepared.device)
        self._pairs.measure(numbers, batch)
        if self._sets is not None:
            self._sets.measure(self._waiting, batch)
        self._waiting = []
