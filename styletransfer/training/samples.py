"""Keep the grids of samples as PNG files."""

from pathlib import Path

from styletransfer.images import encode_png
from styletransfer.training.events import Event, Sampled


class SampleFiles:
    """A listener that writes ``samples/000250.png`` and so on below a folder."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "samples"

    def __call__(self, event: Event) -> None:
        if isinstance(event, Sampled):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{event.step:06}.png").write_bytes(encode_png(event.grid))
