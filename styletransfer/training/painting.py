"""Run a generator of the registry on pictures in 0..1, on the scale that its files have."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from styletransfer.architectures import Architecture
from styletransfer.training.feeding import TrainingPictures
from styletransfer.training.optimising import clamp
from styletransfer.training.precision import widen

_SAMPLE_DRAW = 1 << 41  # no step's

_INTO: dict[str, Callable[[Tensor], Tensor]] = {
    "0..255": lambda images: images * 255.0,
    "-1..1": lambda images: images * 2 - 1,
    "0..1": lambda images: images,
}
_OUT_OF: dict[str, Callable[[Tensor], Tensor]] = {
    "0..255": lambda images: images / 255.0,
    "-1..1": lambda images: (images + 1) / 2,
    "0..1": lambda images: images,
}


class Painter:
    """Knows what a generator takes and returns."""

    def __init__(self, architecture: Architecture, device: torch.device) -> None:
        self.architecture, self.device = architecture, device
        self.range = architecture.usual_range

    def paint(
        self, network: nn.Module, contents: Tensor, styles: Tensor | None, *, limit: bool = True
    ) -> Tensor:
        """Return outputs; limited to 0..1 as in scoring, with gradients as if not."""
        images = [contents, styles] if self.architecture.inputs == 2 else [contents]
        made: Tensor = network(*(_INTO[self.range](image) for image in images if image is not None))
        outputs = _OUT_OF[self.range](widen(made))
        return clamp(outputs) if limit else outputs

    def choose_samples(
        self, pictures: TrainingPictures, count: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return some photographs, and as many styles where the generator takes any."""
        places = [(_SAMPLE_DRAW, slot) for slot in range(count)]

        def choose(some: int) -> list[int]:
            return [slot * some // count for slot in range(count)]

        contents = pictures.contents.take(choose(len(pictures.contents)), places)
        if self.architecture.inputs == 1:
            return contents.to(self.device), None
        styles = pictures.styles.take(choose(len(pictures.styles)), places)
        return contents.to(self.device), styles.to(self.device)
