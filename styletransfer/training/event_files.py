"""Write a training's losses and samples as TensorBoard's event files."""

from pathlib import Path
from typing import Any

from styletransfer.errors import StyleTransferError
from styletransfer.training.events import Event, Finished, Sampled, Started, Stepped, Warned
from styletransfer.training.report import CURVES

_RATES = ("generator_rate", "discriminator_rate", "gradient_norm")


class TensorBoardMissing(StyleTransferError):
    """The optional package is not installed."""


class EventFiles:
    """A listener that writes below ``tensorboard/`` of a folder.

    Raises:
        TensorBoardMissing: at the start, where the package is not there.
    """

    def __init__(self, out: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TensorBoardMissing(
                "event files need TensorBoard: pip install 'stylearena[tensorboard]'"
            ) from error
        self._open = SummaryWriter
        self._folder = out / "tensorboard"
        self._writer: Any = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            # What a training wrote after the step that it goes on from is taken back.
            self._writer = self._open(str(self._folder), purge_step=event.step or None)
            self._writer.add_text("settings", f"```\n{dict(event.config)}\n```", event.step)
        elif isinstance(event, Stepped):
            for name in (*CURVES, *_RATES):
                self._writer.add_scalar(name, getattr(event, name), event.step)
        elif isinstance(event, Sampled):
            self._writer.add_image("samples", event.grid, event.step, dataformats="HWC")
        elif isinstance(event, Warned):
            self._writer.add_text("warnings", f"{event.found} {event.done}", event.step)
        elif isinstance(event, Finished):
            self._writer.close()
