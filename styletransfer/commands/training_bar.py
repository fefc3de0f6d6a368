"""Show a training on the terminal: a bar with losses and what time is left, or lines in a log."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from styletransfer.training.events import (
    Copied,
    Event,
    Finished,
    Saved,
    Started,
    Stepped,
    Warned,
)

# Steps that a mean is taken over, and between lines where there is no terminal.
_WINDOW = 50


class TrainingBar:
    """A listener. Losses are means of the last steps: one step says little."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.recent: list[Stepped] = []
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("training", total=None, losses="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Started(step=step, steps=steps):
                self.bar.update(self.task, completed=step, total=steps)
            case Copied(step=step, error=error):
                self.bar.update(
                    self.task, completed=step + 1, losses=f"learns to copy: {error:.4f}"
                )
            case Stepped():
                self._show_step(event)
            case Warned(step=step, found=found, done=done):
                self._print(f"step {step}: {found}; {done}")
            case Saved(step=step, path=path):
                self._print(f"step {step}: saved {path}")
            case Finished(step=step, is_complete=False):
                self._print(f"stopped after step {step}; --resume goes on from there")

    def _show_step(self, event: Stepped) -> None:
        self.recent = [*self.recent[1 - _WINDOW :], event]
        text = describe(self.recent)
        self.bar.update(self.task, completed=event.step + 1, losses=text)
        is_last = event.step + 1 == event.steps
        if not self.console.is_terminal and (event.step % _WINDOW == _WINDOW - 1 or is_last):
            self._print(f"step {event.step + 1}/{event.steps} {text}")

    def _print(self, text: str) -> None:
        if self.console.is_terminal:
            self.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)


def describe(steps: list[Stepped]) -> str:
    """Write the mean losses of some steps."""
    names = ["content", "style", *(["adversarial"] if steps[-1].discriminator_rate else [])]
    means = (sum(getattr(step, name) for step in steps) / len(steps) for name in names)
    return " ".join(f"{name} {mean:.3f}" for name, mean in zip(names, means, strict=True))
