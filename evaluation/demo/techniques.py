"""Palettes and brushes: what tells one painter of the demo from another."""

from dataclasses import dataclass

from evaluation.demo.brush import Brush


@dataclass(frozen=True)
class Layer:
    """One pass over the canvas: how many marks, of which brush, and where they're needed."""

    brush: Brush
    marks: int
    chain: int = 1  # marks laid end to end along the flow: 1 is a dab, more a long stroke
    threshold: float = -1.0  # marks only where canvas and subject differ more than this
    opacity: float = 0.92


@dataclass(frozen=True)
class Technique:
    """A palette (hex codes) and a way to put it on the canvas with strokes."""

    palette: str
    ground: str
    layers: tuple[Layer, ...]
    pull: float  # share of a palette colour in each mark; the rest is the subject's own
    freedom: float  # how freely neighbouring marks pick different palette colours
    jitter: float  # spread of brightness between marks
    swirl: float  # how strongly strokes curl where the subject is flat
    relief: float  # how thick the paint looks


TECHNIQUES: dict[str, Technique] = {
    "dabs": Technique(
        palette="f6eede f4cdbb e8948c c9a9d9 9187cb 5f78b8 8fb8de c3e4e4 93c7a4 5f9a6b "
        "3f6f63 efd883 dd9f4f 6a5a8c",
        ground="e9dcc6",
        layers=(
            Layer(Brush(30, 13), 520),
            Layer(Brush(19, 7.5), 1700),
            Layer(Brush(12, 5), 2200, threshold=0.05),
        ),
        pull=0.66,
        freedom=0.022,
        jitter=0.05,
        swirl=0.3,
        relief=0.55,
    ),
    "impasto": Technique(
        palette="0b1f52 143b8c 2563b8 4b93c9 93c6d6 dfe6c8 f5d33c eda41f b9761d 3f6f3a 1f4434 "
        "16203a f8efb4",
        ground="1b2a4a",
        layers=(
            Layer(Brush(26, 12, bristles=0.9), 520, chain=2),
            Layer(Brush(18, 7, bristles=1.0, ragged=0.4), 1100, chain=3),
            Layer(Brush(11, 4.5, bristles=0.9), 2600, chain=2, threshold=0.075),
        ),
        pull=0.7,
        freedom=0.014,
        jitter=0.07,
        swirl=1.6,
        relief=1.0,
    ),
    "knife": Technique(
        palette="7a1024 c2182b e8452c f3812f f7b538 fbe3b0 18121e 3c1f4a 12616b 1f9e9a e9e2d0 "
        "5d2e1a",
        ground="3a1520",
        layers=(
            Layer(Brush(52, 26, bristles=0.25, ragged=0.12, softness=0.06, square=True), 300),
            Layer(Brush(32, 15, bristles=0.3, ragged=0.15, softness=0.08, square=True), 700),
            Layer(
                Brush(18, 8, bristles=0.3, ragged=0.2, softness=0.1, square=True),
                1200,
                threshold=0.09,
            ),
        ),
        pull=0.8,
        freedom=0.012,
        jitter=0.06,
        swirl=0.15,
        relief=0.9,
    ),
    "points": Technique(
        palette="f7f3e0 f9d94a f08a24 d8352f b8408f 5b3fa0 2b55b5 3da2d8 58bfa5 2f9a4c 9bc93c "
        "1f2c5c 7a2e3f",
        ground="f1e9d2",
        layers=(
            Layer(Brush(7, 7, bristles=0.0, ragged=0.05), 4200, opacity=0.9),
            Layer(Brush(5.5, 5.5, bristles=0.0, ragged=0.05), 4200, opacity=0.95),
        ),
        pull=0.78,
        freedom=0.05,
        jitter=0.03,
        swirl=0.0,
        relief=0.2,
    ),
}

INK_BRUSH = Brush(20, 3.2, bristles=0.8, softness=0.5, ragged=0.5)
