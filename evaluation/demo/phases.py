"""The demo's two phases as pictures and pairs, for the database and for calibration alike."""

from dataclasses import dataclass

from evaluation.demo.baselines import ONE_STYLE
from evaluation.demo.image import DemoImage
from evaluation.demo.painter import reference_paintings, style_images
from evaluation.demo.photos import content_images

VGG = "vgg19-surrogate-1"


@dataclass(frozen=True)
class DemoPhase:
    """What one phase shows and scores against."""

    name: str
    description: str
    contents: list[DemoImage]
    styles: list[DemoImage]
    reals: list[DemoImage]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Give each content one style, the styles in turn."""
        return [(number, number % len(self.styles)) for number in range(len(self.contents))]


def demo_phases() -> list[DemoPhase]:
    """Return the phases in the order of the competition; drawing them takes some seconds."""
    contents, styles, reals = content_images(), style_images(), reference_paintings()
    one = [style for style in styles if style.name == ONE_STYLE]
    return [
        DemoPhase(
            "One style", "24 photographs, all in the manner of one painting.", contents, one, reals
        ),
        DemoPhase(
            "Any style",
            "24 photographs, each with a painting whose manner it is to take over.",
            contents,
            styles,
            reals,
        ),
    ]
