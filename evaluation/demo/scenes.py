"""The drawing board that the painter's subjects are sketched on, and the noise they need."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float32]
Colour = tuple[int, int, int]
Points = list[tuple[float, float]]

SIZE = 384  # the side every subject is drawn and painted at; paintings are reduced from it


def smooth_noise(rng: np.random.Generator, cells: int, octaves: int = 4) -> Array:
    """Return fractal noise in about -1..1, `cells` waves across at the coarsest octave."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        grid = rng.uniform(-1, 1, (cells * 2**octave + 1,) * 2).astype(np.float32)
        layer = Image.fromarray(grid).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        total += np.asarray(layer, np.float32) / 2**octave
    return total / np.float32(1.5)


class Scene:
    """A drawing board with the few gestures that every subject is made of.

    Places and sizes are shares of the board's side, from its upper left corner.
    """

    window: Colour = (58, 62, 84)

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.image = Image.new("RGB", (SIZE, SIZE))
        self.draw = ImageDraw.Draw(self.image)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def vary(self, colour: Colour, spread: int = 18) -> Colour:
        shifted = np.clip(np.array(colour) + self.rng.integers(-spread, spread + 1, 3), 0, 255)
        return int(shifted[0]), int(shifted[1]), int(shifted[2])

    def colour_at(self, x: float, y: float) -> Colour:
        column, row = int(x * SIZE), int(y * SIZE)
        pixel = np.asarray(self.image.crop((column, row, column + 1, row + 1)))[0, 0]
        return int(pixel[0]), int(pixel[1]), int(pixel[2])

    def gradient(self, top: Colour, bottom: Colour, start: float, end: float) -> None:
        first, last = int(start * SIZE), int(end * SIZE)
        for row in range(first, last):
            t = (row - first) / max(last - first, 1)
            mix = [round(a + (b - a) * t) for a, b in zip(top, bottom, strict=True)]
            self.draw.line([(0, row), (SIZE, row)], fill=(mix[0], mix[1], mix[2]))

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        box = [(x - radius) * SIZE, (y - radius) * SIZE, (x + radius) * SIZE, (y + radius) * SIZE]
        self.draw.ellipse(box, fill=colour)

    def polygon(self, points: Points, colour: Colour) -> None:
        self.draw.polygon([(x * SIZE, y * SIZE) for x, y in points], fill=colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        scaled = [(x * SIZE, y * SIZE) for x, y in points]
        self.draw.line(scaled, fill=colour, width=max(1, round(width * SIZE)), joint="curve")

    def ridge(self, height: float, swing: float, colour: Colour, waves: int = 3) -> list[float]:
        """Fill everything below a wavy skyline and return its height at 97 places."""
        x = np.linspace(0, 1, 97)
        y = np.full_like(x, height)
        for wave in range(1, waves + 1):
            phase, gain = self.uniform(0, 6.3), self.uniform(0.4, 1.0)
            y += swing * gain / wave * np.sin(6.3 * wave * x * self.uniform(0.6, 1.1) + phase)
        skyline = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        self.polygon([*skyline, (1, 1), (0, 1)], colour)
        return [point[1] for point in skyline]

    def clouds(self, colour: Colour, cover: float, bottom: float) -> None:
        noise = smooth_noise(self.rng, 3) - np.linspace(0, 1.2, SIZE, dtype=np.float32)[:, None]
        mask = np.clip((noise + cover - 0.2) * 3, 0, 1)
        mask[int(bottom * SIZE) :] = 0
        alpha = Image.fromarray((mask * 255).astype(np.uint8))
        self.image.paste(Image.new("RGB", (SIZE, SIZE), colour), (0, 0), alpha)

    def tree(self, x: float, y: float, size: float, leaves: Colour) -> None:
        self.line([(x, y), (x + self.uniform(-0.01, 0.01), y - size)], (74, 52, 40), size * 0.12)
        for _ in range(14):
            dx, dy = self.rng.normal(0, 0.28, 2) * size
            shade = self.vary(leaves, 26)
            self.disc(x + dx, y - size * 1.1 + dy, size * self.uniform(0.12, 0.3), shade)

    def house(self, x: float, y: float, size: float, wall: Colour, roof: Colour) -> None:
        tall = size * self.uniform(0.8, 1.3)
        self.polygon([(x, y), (x + size, y), (x + size, y - tall), (x, y - tall)], wall)
        peak = (x + size / 2, y - tall - size * 0.6)
        self.polygon([(x - size * 0.1, y - tall), (x + size * 1.1, y - tall), peak], roof)
        for column in (0.2, 0.6):
            left, top = x + size * column, y - tall * 0.7
            right, low = left + size * 0.2, top + tall * 0.28
            self.polygon([(left, top), (right, top), (right, low), (left, low)], self.window)
