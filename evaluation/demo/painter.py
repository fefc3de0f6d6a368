"""The painter: strokes, gouache and ink, and the demo's style images and reference paintings.

Everything follows from seeds: the same seed and the same library versions give the same bytes.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from evaluation.demo.brush import (
    DIRECTIONS,
    VARIANTS,
    Canvas,
    blur,
    luminance,
    stamps,
    stroke_angles,
)
from evaluation.demo.image import SIDE, DemoImage, Pixels
from evaluation.demo.scenes import SIZE, Array, smooth_noise
from evaluation.demo.subjects import SUBJECTS, draw_subject
from evaluation.demo.techniques import INK_BRUSH, TECHNIQUES, Layer, Technique

CREDIT = "Painted by StyleArena's own code"
LICENCE = "Apache-2.0"
SOURCE = "evaluation/demo/painter.py"

REFERENCE_SEED = 10_000  # the first reference painting's; far from those of STYLES

MANNERS = (*TECHNIQUES, "gouache", "ink")

# (slug, manner, subject, seed) of the style images.
STYLES: tuple[tuple[str, str, str, int], ...] = (
    ("birches-knife", "knife", "forest", 203),
    ("night-impasto", "impasto", "night", 102),
    ("bouquet-dabs", "dabs", "bouquet", 202),
    ("town-points", "points", "town", 104),
    ("sails-gouache", "gouache", "sea", 204),
    ("orchard-ink", "ink", "hills", 206),
)


def style_images() -> list[DemoImage]:
    """Return one painting in each manner."""
    return [_demo_image(*style) for style in STYLES]


def reference_paintings(count: int = 72) -> list[DemoImage]:
    """Return paintings in every manner, of other seeds than the style images."""
    subjects = list(SUBJECTS)
    paintings = []
    for index in range(count):
        manner = MANNERS[index % len(MANNERS)]
        subject = subjects[(index + index // len(subjects)) % len(subjects)]
        name = f"reference-{index + 1:03}-{subject}-{manner}"
        paintings.append(_demo_image(name, manner, subject, REFERENCE_SEED + index))
    return paintings


def paint(manner: str, subject: str, seed: int) -> Pixels:
    """Paint `subject` in `manner` as (256, 256, 3) uint8."""
    rng = np.random.Generator(np.random.PCG64(seed))
    image = draw_subject(subject, rng)
    if manner == "gouache":
        painting = paint_gouache(image, rng)
    elif manner == "ink":
        painting = paint_ink(image, rng)
    else:
        painting = paint_strokes(image, TECHNIQUES[manner], rng)
    pixels = Image.fromarray(np.rint(np.clip(painting, 0, 1) * 255).astype(np.uint8))
    return np.asarray(pixels.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _demo_image(name: str, manner: str, subject: str, seed: int) -> DemoImage:
    return DemoImage(name, paint(manner, subject, seed), CREDIT, LICENCE, SOURCE)


def paint_strokes(subject: Array, technique: Technique, rng: np.random.Generator) -> Array:
    """Cover a toned ground with layers of marks, coarse to fine."""
    ground = np.broadcast_to(colours(technique.ground)[0], subject.shape)
    canvas = Canvas(ground + 0.03 * smooth_noise(rng, 40, 2)[..., None])
    angles = stroke_angles(subject, smooth_noise(rng, 3, 2), technique.swirl)
    for layer in technique.layers:
        _paint_layer(canvas, subject, angles, technique, layer, rng)
    return canvas.lit(technique.relief)


def _paint_layer(
    canvas: Canvas,
    subject: Array,
    angles: Array,
    technique: Technique,
    layer: Layer,
    rng: np.random.Generator,
) -> None:
    target = blur(subject, layer.brush.width / 5)
    places = scatter(layer.marks, rng)
    if layer.threshold >= 0:
        off = np.abs(blur(canvas.colour, 2) - target).mean(axis=2)
        places = places[off[places[:, 1], places[:, 0]] > layer.threshold]
    seen = target[places[:, 1], places[:, 0]]
    paints = mix_paint(seen, technique, rng)
    wobble = rng.normal(0, 0.14, len(places))
    marks = stamps(layer.brush)
    step = layer.brush.length * 0.45
    for (x, y), paint_colour, turn in zip(places.tolist(), paints, wobble.tolist(), strict=True):
        variant = int(rng.integers(VARIANTS))
        px, py, heading = float(x), float(y), float(angles[y, x])
        for _ in range(layer.chain):
            column, row = int(px), int(py)
            if not (0 <= column < SIZE and 0 <= row < SIZE):
                break
            local = float(angles[row, column])
            heading = local if np.cos(local - heading) >= 0 else local + np.pi
            direction = round((heading + turn) / np.pi * DIRECTIONS) % DIRECTIONS
            canvas.mark(marks[direction][variant], column, row, paint_colour, layer.opacity)
            px += step * np.cos(heading)
            py += step * np.sin(heading)


def scatter(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return about `count` places (x, y) spread evenly but not regularly, in random order."""
    side = max(1, round(count**0.5))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=2).reshape(-1, 2)
    places = (grid + rng.uniform(-0.2, 1.2, grid.shape)) * SIZE / side
    rng.shuffle(places)
    inside: NDArray[np.int64] = np.clip(places, 0, SIZE - 1).astype(np.int64)
    return inside


def colours(codes: str) -> Array:
    """Return hex codes, separated by spaces, as rows of RGB in 0..1."""
    rows = [[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes.split()]
    return np.array(rows, np.float32) / np.float32(255)


def mix_paint(seen: Array, technique: Technique, rng: np.random.Generator) -> Array:
    """Pick a palette colour near each seen one, now and then a bolder one, and mix the two."""
    palette = colours(technique.palette)
    difference = seen[:, None] - palette[None]
    light = luminance(difference)
    distance = (difference**2).mean(axis=2) + 1.5 * light**2
    gumbel = rng.gumbel(size=distance.shape)
    chosen = palette[np.argmax(gumbel - distance / technique.freedom, axis=1)]
    mixed = technique.pull * chosen + (1 - technique.pull) * seen
    mixed = mixed + rng.normal(0, technique.jitter, (len(seen), 1))
    paints: Array = np.clip(mixed, 0, 1).astype(np.float32)
    return paints


GOUACHE = (
    "f4e4c1 e9a23b d9542b 9c2f2f 2c3e50 1f7a7a 7fb7a3 f2c9a1 6b4a3a",
    "faf0dc f2b5a7 d96c75 7d3c58 33305c 3f7cac 95c8d8 e8d38b 4d6a4f",
    "f0ead2 dde5b6 adc178 6c8a4e 3a5a40 a98467 6c4b36 e07a5f 22333b",
)


def paint_gouache(subject: Array, rng: np.random.Generator) -> Array:
    """Fill flat shapes with few colours, leave brush marks in them, and outline them by hand."""
    palette = colours(GOUACHE[int(rng.integers(len(GOUACHE)))])
    shaky = warp(blur(subject, 2.5), rng, 2.5, 10)
    difference = shaky[:, :, None] - palette
    light = luminance(difference)
    distance = (difference**2).mean(axis=3) + 2 * light**2
    labels = Image.fromarray(distance.argmin(axis=2).astype(np.uint8))
    shapes = np.asarray(labels.filter(ImageFilter.ModeFilter(9)).filter(ImageFilter.ModeFilter(7)))
    flat = palette[shapes]
    sweep = np.asarray(
        Image.fromarray(rng.normal(0, 1, (SIZE, 40)).astype(np.float32)).resize((SIZE, SIZE))
    )
    mottle = 0.028 * sweep + 0.05 * smooth_noise(rng, 6)
    painted = blur(flat + mottle[..., None], 0.7)
    edge = np.zeros((SIZE, SIZE), np.float32)
    edge[:, 1:] += shapes[:, 1:] != shapes[:, :-1]
    edge[1:] += shapes[1:] != shapes[:-1]
    pressure = 0.55 + 0.5 * smooth_noise(rng, 8, 2)
    line = np.clip(blur(np.clip(edge, 0, 1), 1.7) * 5.2 * pressure - 0.25, 0, 1)
    ink = colours("231a26")[0]
    outlined: Array = painted + line[..., None] * (ink - painted)
    grain = 0.025 * rng.normal(0, 1, (SIZE, SIZE, 1))
    return (outlined + grain).astype(np.float32)


# (luminance below which it's laid, how dark it is, how far it runs in pixels)
WASHES = ((0.8, 0.16, 5.0), (0.55, 0.3, 3.0), (0.36, 0.5, 2.0), (0.2, 0.8, 1.0))


def paint_ink(subject: Array, rng: np.random.Generator) -> Array:
    """Lay washes of thinned ink on rice paper, then dry strokes, a red sun and a seal."""
    fibres = smooth_noise(rng, 24, 3)
    paper = colours("f3ecdb")[0] * (1 + 0.025 * fibres[..., None])
    light = luminance(blur(subject, 1.5))
    light = (light - light.min()) / max(float(np.ptp(light)), 1e-6)
    bleed = smooth_noise(rng, 9)
    density = np.zeros((SIZE, SIZE), np.float32)
    for level, strength, spread in WASHES:
        shape = warp(light, rng, 3.0, 12) + 0.09 * bleed
        wash = blur(np.clip((level - shape) / 0.05 + 0.5, 0, 1), spread)
        rim = np.clip(wash - blur(wash, 5), 0, 1)  # pigment gathers where a wash dries
        density += strength * (wash * (0.75 + 0.3 * smooth_noise(rng, 5)) + 1.6 * rim)
    density += _dry_strokes(light, rng)
    density = np.clip(density * (1 + 0.12 * fibres), 0, None)
    absorbed = np.exp(-density[..., None] * np.array([1.5, 1.42, 1.3], np.float32))
    painting = paper * absorbed
    return _vermilion(painting, rng).astype(np.float32)


def _dry_strokes(light: Array, rng: np.random.Generator) -> Array:
    dy, dx = np.gradient(blur(light, 1.5))
    edge = np.hypot(dx, dy)
    along = np.arctan2(dy, dx) + np.pi / 2
    brush = stamps(INK_BRUSH)
    sheet = Canvas(np.zeros((SIZE, SIZE, 3), np.float32))
    one = np.ones(3, np.float32)
    for x, y in scatter(6000, rng).tolist():
        if edge[y, x] > 0.03 and light[y, x] < 0.8:
            turn = round(float(along[y, x]) / np.pi * DIRECTIONS) % DIRECTIONS
            sheet.mark(brush[turn][int(rng.integers(VARIANTS))], x, y, one, 0.35)
    dry = np.clip(1.1 + 0.9 * smooth_noise(rng, 7, 3), 0, 1.4)
    stroke: Array = sheet.colour[..., 0] * dry
    return stroke


def _vermilion(painting: Array, rng: np.random.Generator) -> Array:
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    spots = rng.uniform((0.12, 0.1), (0.88, 0.24), (12, 2))
    bright = [float(painting[int(b * SIZE), int(a * SIZE)].sum()) for a, b in spots]
    at = spots[int(np.argmax(bright))]
    sun = np.hypot(x - at[0], y - at[1])
    mask = np.clip((0.062 - sun + 0.008 * smooth_noise(rng, 10)) * 90, 0, 1) * 0.85
    left, top = rng.uniform(0.06, 0.86), 0.88
    seal = (np.abs(x - left - 0.03) < 0.028) & (np.abs(y - top - 0.03) < 0.034)
    carved = (np.sin(x * 520) * np.sin(y * 410 + 3 * np.sin(x * 260)) > -0.3) & seal
    mask = np.maximum(mask, blur(carved.astype(np.float32), 0.5) * 0.9)[..., None]
    red = colours("c8321f")[0]
    stained: Array = painting * (1 - mask) + mask * red * (0.35 + 0.65 * painting)
    return stained


def warp(image: Array, rng: np.random.Generator, amount: float, cells: int) -> Array:
    """Shift every pixel a little, so that straight edges look drawn by hand."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    shifted_x = np.clip(x + amount * smooth_noise(rng, cells, 2), 0, SIZE - 1).astype(np.int64)
    shifted_y = np.clip(y + amount * smooth_noise(rng, cells, 2), 0, SIZE - 1).astype(np.int64)
    warped: Array = image[shifted_y, shifted_x]
    return warped
