"""Subjects for the painter: small procedural landscapes and still lifes, drawn as flat shapes.

They are no pictures to show. A painter's manner turns one into strokes, washes or dots.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from evaluation.demo.scenes import SIZE, Array, Colour, Scene


def sea(scene: Scene) -> None:
    """A low sun over water with a few sails."""
    horizon = scene.uniform(0.42, 0.58)
    warm = scene.vary((250, 190, 120), 30)
    scene.gradient(scene.vary((92, 130, 190), 30), warm, 0, horizon)
    scene.clouds(scene.vary((252, 226, 200)), 0.55, horizon)
    x = scene.uniform(0.25, 0.75)
    scene.disc(x, horizon - scene.uniform(0.06, 0.16), 0.055, (255, 236, 160))
    scene.gradient(scene.vary((120, 150, 180)), scene.vary((24, 58, 100)), horizon, 1)
    for _ in range(90):
        y = horizon + (1 - horizon) * scene.uniform(0, 1) ** 1.4
        spread = 0.03 + (y - horizon) * 0.5
        left = x + scene.uniform(-spread, spread)
        colour = warm if scene.rng.random() < 0.6 else scene.vary((70, 110, 150), 30)
        scene.line([(left, y), (left + scene.uniform(0.03, 0.12), y)], colour, 0.008)
    for _ in range(int(scene.rng.integers(1, 4))):
        bx, by = scene.uniform(0.1, 0.9), horizon + scene.uniform(0.06, 0.25)
        size = 0.06 + (by - horizon) * 0.5
        hull = [(bx - size, by), (bx + size, by), (bx + size * 0.7, by + size * 0.3)]
        scene.polygon([*hull, (bx - size * 0.7, by + size * 0.3)], scene.vary((90, 48, 36)))
        sail = scene.vary((240, 226, 206))
        scene.polygon([(bx, by - size * 2), (bx, by), (bx + size * 0.9, by - 0.01)], sail)
        scene.polygon([(bx, by - size * 1.7), (bx, by), (bx - size * 0.6, by - 0.01)], sail)


def hills(scene: Scene) -> None:
    """Fields behind fields, trees and a farm."""
    scene.gradient(scene.vary((96, 150, 210), 25), scene.vary((214, 226, 226)), 0, 0.6)
    scene.clouds((250, 246, 238), 0.75, 0.55)
    fields: list[Colour] = [(120, 148, 170), (132, 160, 96), (206, 178, 84), (96, 136, 62)]
    for index, field in enumerate(fields):
        colour = scene.vary(field, 24)
        level = 0.42 + 0.15 * index
        skyline = scene.ridge(level, 0.05, colour)
        for _ in range(10 * index):
            at = int(scene.rng.integers(0, 90))
            y = skyline[at] + scene.uniform(0.01, 0.2)
            dark = scene.vary((colour[0] - 30, colour[1] - 30, colour[2] - 20))
            scene.line([(at / 96, y), (at / 96 + 0.12, y + 0.02)], dark, 0.006)
        if index == 1:
            at = int(scene.rng.integers(15, 75))
            scene.house(at / 96, skyline[at] + 0.02, 0.08, (236, 224, 200), (178, 76, 52))
        for _ in range(index * 2):
            at = int(scene.rng.integers(0, 97))
            size = scene.uniform(0.03, 0.045) * (index + 1)
            scene.tree(at / 96, skyline[at] + 0.02, size, scene.vary((66, 110, 58), 25))


def night(scene: Scene) -> None:
    """A town with lit windows under moon and stars."""
    scene.gradient(scene.vary((22, 34, 84)), scene.vary((66, 104, 160)), 0, 0.75)
    for _ in range(int(scene.rng.integers(7, 12))):
        x, y, radius = scene.uniform(0, 1), scene.uniform(0.02, 0.5), scene.uniform(0.012, 0.03)
        scene.disc(x, y, radius * 2.2, (108, 146, 190))
        scene.disc(x, y, radius, (250, 232, 150))
    mx = scene.uniform(0.2, 0.85)
    scene.disc(mx, 0.18, 0.12, (130, 160, 180))
    scene.disc(mx, 0.18, 0.08, (252, 226, 120))
    scene.ridge(0.64, 0.05, scene.vary((40, 66, 110)))
    scene.window = (252, 206, 96)
    for _ in range(9):
        x, y = scene.uniform(0, 0.95), scene.uniform(0.76, 0.9)
        scene.house(x, y, scene.uniform(0.06, 0.1), scene.vary((60, 74, 112)), (44, 40, 70))
    scene.ridge(0.9, 0.03, scene.vary((30, 50, 52)))
    cx = scene.uniform(0.1, 0.3) if mx > 0.5 else scene.uniform(0.7, 0.9)
    flame = [(cx - 0.07, 1.0), (cx - 0.05, 0.6), (cx, 0.12), (cx + 0.04, 0.55), (cx + 0.08, 1.0)]
    scene.polygon(flame, scene.vary((24, 46, 36)))


def still_life(scene: Scene) -> None:
    """A jug, fruit and a cloth on a table."""
    scene.gradient(scene.vary((70, 96, 100), 35), scene.vary((128, 120, 104), 25), 0, 0.6)
    table = scene.uniform(0.55, 0.66)
    scene.gradient(scene.vary((170, 112, 66)), scene.vary((110, 66, 40)), table, 1)
    cloth = scene.vary((226, 218, 204))
    corner = scene.uniform(0.2, 0.6)
    scene.polygon([(corner, 1), (corner - 0.1, table + 0.1), (corner + 0.4, table + 0.06)], cloth)
    jug = scene.vary((58, 92, 140), 45)
    jx = scene.uniform(0.25, 0.7)
    for row in range(60):
        t = row / 59
        half = 0.05 + 0.09 * np.sin(np.pi * min(1.0, t * 1.15)) ** 1.5
        y = table - 0.34 + t * 0.42
        light: Colour = (min(255, jug[0] + 70), min(255, jug[1] + 70), min(255, jug[2] + 60))
        scene.line([(jx - half, y), (jx + half, y)], jug, 0.012)
        scene.line([(jx - half * 0.6, y), (jx - half * 0.25, y)], light, 0.012)
    kinds: list[Colour] = [(206, 52, 40), (232, 150, 40), (220, 196, 66), (120, 150, 60)]
    for _ in range(int(scene.rng.integers(5, 9))):
        x, y, radius = scene.uniform(0.08, 0.92), table + scene.uniform(0.08, 0.28), 0.075
        fruit = scene.vary(kinds[int(scene.rng.integers(0, 4))])
        scene.disc(x + 0.02, y + 0.025, radius, (72, 46, 40))
        scene.disc(x, y, radius, fruit)
        shine: Colour = (min(255, fruit[0] + 45), min(255, fruit[1] + 45), min(255, fruit[2] + 40))
        scene.disc(x - 0.022, y - 0.025, radius * 0.5, shine)


def bouquet(scene: Scene) -> None:
    """Flowers in a vase."""
    scene.gradient(scene.vary((176, 190, 170), 40), scene.vary((120, 140, 150), 30), 0, 0.8)
    scene.gradient(scene.vary((190, 150, 100)), scene.vary((130, 90, 60)), 0.78, 1)
    vase = [(0.4, 0.62), (0.6, 0.62), (0.66, 0.8), (0.58, 0.92), (0.42, 0.92), (0.34, 0.8)]
    scene.polygon(vase, scene.vary((196, 170, 120), 40))
    for _ in range(26):
        x, y = 0.5 + scene.rng.normal(0, 0.17), 0.38 + scene.rng.normal(0, 0.13)
        green = scene.vary((70, 112, 60), 25)
        scene.line([(0.5, 0.64), (float(x), float(y))], green, 0.008)
        scene.disc(float(x), float(y), 0.03, green)
    petals: list[Colour] = [(240, 190, 60), (214, 70, 70), (236, 220, 226), (150, 100, 180)]
    for _ in range(int(scene.rng.integers(12, 18))):
        x, y = float(0.5 + scene.rng.normal(0, 0.17)), float(0.36 + scene.rng.normal(0, 0.12))
        colour = scene.vary(petals[int(scene.rng.integers(0, 4))], 25)
        for turn in np.linspace(0, 6.28, 9)[:-1]:
            px, py = x + 0.042 * float(np.cos(turn)), y + 0.042 * float(np.sin(turn))
            scene.disc(px, py, 0.024, scene.vary(colour, 22))
        scene.disc(x, y, 0.024, scene.vary((120, 76, 36)))


def forest(scene: Scene) -> None:
    """Light trunks before foliage, a path between them."""
    scene.gradient(scene.vary((150, 180, 130), 35), scene.vary((90, 116, 70), 25), 0, 1)
    leaves = scene.vary((150, 140, 50), 60)
    for _ in range(240):
        x, y = scene.uniform(0, 1), scene.uniform(0, 0.72)
        scene.disc(x, y, scene.uniform(0.012, 0.04), scene.vary(leaves, 42))
    scene.ridge(0.78, 0.02, scene.vary((112, 98, 52), 25))
    px = scene.uniform(0.35, 0.65)
    path = [(px - 0.02, 0.76), (px + 0.02, 0.76), (px + 0.25, 1), (px - 0.2, 1)]
    scene.polygon(path, scene.vary((206, 180, 130)))
    for _ in range(int(scene.rng.integers(6, 10))):
        x, foot = scene.uniform(0, 1), scene.uniform(0.76, 0.95)
        width = 0.01 + (foot - 0.7) * 0.15
        bark = scene.vary((216, 208, 192), 22)
        scene.line([(x + scene.uniform(-0.03, 0.03), 0), (x, foot)], bark, width)
        scene.line([(x + width * 0.4, 0.3), (x + width * 0.4, foot)], (110, 92, 84), width * 0.35)


def mountains(scene: Scene) -> None:
    """Snowy peaks mirrored in a lake."""
    scene.gradient(scene.vary((110, 150, 200), 30), scene.vary((236, 210, 190), 20), 0, 0.6)
    scene.clouds((248, 240, 236), 0.6, 0.4)
    for _ in range(int(scene.rng.integers(3, 6))):
        x, top, half = scene.uniform(0, 1), scene.uniform(0.12, 0.36), scene.uniform(0.2, 0.4)
        rock = scene.vary((94, 104, 136), 24)
        scene.polygon([(x - half, 0.62), (x, top), (x + half, 0.62)], rock)
        dark: Colour = (rock[0] - 34, rock[1] - 32, rock[2] - 26)
        scene.polygon([(x, top), (x + half, 0.62), (x + half * 0.15, 0.62)], dark)
        cap = [(x - half * 0.32, top + (0.62 - top) * 0.32), (x, top)]
        cap += [(x + half * 0.3, top + (0.62 - top) * 0.3), (x + half * 0.05, top + 0.07)]
        scene.polygon(cap, (240, 242, 246))
    scene.ridge(0.58, 0.02, scene.vary((58, 88, 70)))
    shore = int(0.62 * SIZE)
    mirrored = np.asarray(scene.image)[max(0, 2 * shore - SIZE) : shore][::-1]
    lake = Image.fromarray(np.ascontiguousarray(mirrored)).filter(ImageFilter.GaussianBlur(4))
    tint = Image.new("RGB", lake.size, scene.vary((50, 90, 120)))
    scene.image.paste(Image.blend(lake, tint, 0.35), (0, shore))
    for _ in range(3):
        scene.tree(scene.uniform(0, 1), scene.uniform(0.9, 1.0), 0.16, (50, 84, 60))


def town(scene: Scene) -> None:
    """A row of bright houses at a canal."""
    scene.gradient(scene.vary((130, 176, 216), 30), scene.vary((230, 226, 210)), 0, 0.6)
    scene.clouds((250, 248, 240), 0.6, 0.4)
    walls: list[Colour] = [(224, 150, 84), (216, 196, 130), (190, 96, 84), (160, 180, 170)]
    x = -0.02
    while x < 1:
        width = scene.uniform(0.12, 0.2)
        wall = scene.vary(walls[int(scene.rng.integers(0, 4))], 22)
        scene.house(x, 0.66, width, wall, scene.vary((150, 70, 56), 25))
        x += width
    scene.gradient(scene.vary((110, 140, 140)), scene.vary((40, 74, 92)), 0.66, 1)
    for _ in range(110):
        x, y = scene.uniform(0, 1), scene.uniform(0.68, 1)
        glint = scene.vary(scene.colour_at(x * 0.99, 1.3 - y), 12)
        scene.line([(x, y), (x + 0.07, y)], glint, 0.011)


SUBJECTS: dict[str, Callable[[Scene], None]] = {
    "sea": sea,
    "hills": hills,
    "night": night,
    "still-life": still_life,
    "bouquet": bouquet,
    "forest": forest,
    "mountains": mountains,
    "town": town,
}


def draw_subject(name: str, rng: np.random.Generator) -> Array:
    """Draw the subject `name` as (SIZE, SIZE, 3) float32 in 0..1."""
    scene = Scene(rng)
    SUBJECTS[name](scene)
    blurred = scene.image.filter(ImageFilter.GaussianBlur(0.8))
    return np.asarray(blurred, np.float32) / np.float32(255)
