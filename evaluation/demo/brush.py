"""Brush marks: stamps with bristles, laid one over another on a canvas with relief.

The canvas holds colour and paint height. Every mark covers what is below it, as wet paint does;
`lit` then shades the height by a lamp from the upper left, which is what makes paint look thick.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from evaluation.demo.scenes import SIZE, Array

DIRECTIONS = 24
VARIANTS = 4


@dataclass(frozen=True)
class Brush:
    """The mark of one brush: its size in pixels and what its tip is like."""

    length: float
    width: float
    bristles: float = 0.6  # 0 flat paint .. 1 deep furrows along the mark
    softness: float = 0.18  # share of the half width over which the edge fades
    ragged: float = 0.25  # how unevenly the mark starts and ends
    square: bool = False  # a knife or flat brush instead of a rounded one


@lru_cache(maxsize=64)
def stamps(brush: Brush) -> tuple[tuple[tuple[Array, Array], ...], ...]:
    """Return (opacity, height) of the brush for every direction and variant."""
    rng = np.random.Generator(np.random.PCG64(11))
    marks = []
    for turn in range(DIRECTIONS):
        angle = np.pi * turn / DIRECTIONS
        marks.append(tuple(_stamp(brush, angle, rng) for _ in range(VARIANTS)))
    return tuple(marks)


def _stamp(brush: Brush, angle: float, rng: np.random.Generator) -> tuple[Array, Array]:
    half = int(np.ceil(np.hypot(brush.length, brush.width) / 2)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    along = (x * np.cos(angle) + y * np.sin(angle)) / (brush.length / 2)
    across = (-x * np.sin(angle) + y * np.cos(angle)) / (brush.width / 2)
    lanes = max(4, round(brush.width / 1.6))
    place = np.clip((across + 1) / 2 * (lanes - 1), 0, lanes - 1)
    lane = np.interp(place, np.arange(lanes), rng.uniform(0, 1, lanes))
    ends = np.interp(place, np.arange(lanes), rng.uniform(1 - brush.ragged, 1, lanes))
    if brush.square:
        radius = np.maximum(np.abs(along) / ends, np.abs(across))
    else:
        radius = np.sqrt((np.abs(along) / ends) ** 2.6 + np.abs(across) ** 2.6)
    fade = max(brush.softness, 1.2 / brush.width)
    opacity = np.clip((1 - radius) / fade + 0.5, 0, 1)
    opacity = opacity * (1 - 0.35 * brush.bristles * lane)
    rim = np.exp(-(((radius - 0.82) / 0.16) ** 2)) * 0.6  # paint pushed aside by the brush
    height = opacity * (0.5 + rim + brush.bristles * (lane - 0.5))
    return opacity.astype(np.float32), height.astype(np.float32)


class Canvas:
    """Colour and relief under the brush."""

    def __init__(self, ground: Array) -> None:
        self.colour: Array = ground.astype(np.float32).copy()
        self.height: Array = np.zeros((SIZE, SIZE), np.float32)

    def mark(
        self, stamp: tuple[Array, Array], x: int, y: int, colour: Array, opacity: float
    ) -> None:
        """Lay one stamp with its middle at (x, y), cut at the canvas's border."""
        alpha, relief = stamp
        half = alpha.shape[0] // 2
        top, left = max(0, y - half), max(0, x - half)
        bottom, right = min(SIZE, y + half + 1), min(SIZE, x + half + 1)
        inner = np.s_[top - y + half : bottom - y + half, left - x + half : right - x + half]
        cover = alpha[inner] * np.float32(opacity)
        patch = self.colour[top:bottom, left:right]
        patch += cover[..., None] * (colour - patch)
        layer = self.height[top:bottom, left:right]
        layer += cover * (relief[inner] + 0.3 * layer - layer)

    def lit(self, relief: float) -> Array:
        """Return the colours shaded by the height of the paint."""
        height = blur(self.height, 0.6)
        slope_y, slope_x = np.gradient(height)
        light = np.asarray(relief * (slope_x + slope_y), np.float32)
        shaded = self.colour * (1 + np.clip(light, -0.45, 0.45))[..., None]
        shine = np.clip(light - 0.18, 0, 0.3)[..., None] * np.float32(0.5)
        lit: Array = np.clip(shaded + shine, 0, 1).astype(np.float32)
        return lit


def blur(image: Array, radius: float) -> Array:
    """Blur each channel of a float image with a Gaussian."""
    sigma = (radius, radius, 0) if image.ndim == 3 else radius
    blurred: Array = gaussian_filter(image.astype(np.float32), sigma, truncate=3.0)
    return blurred


LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luminance(image: Array) -> Array:
    """Return Rec. 601 luma of RGB values in the last axis."""
    return np.asarray(np.dot(image, LUMA), np.float32)


def stroke_angles(image: Array, swirl: Array, strength: float) -> NDArray[np.float32]:
    """Return the direction of strokes: along edges, and along the curls of `swirl` where it's flat.

    Directions are averaged as doubled angles, for a stroke has no head and no tail.
    """
    grey = blur(luminance(image), 2.5)
    dy, dx = np.gradient(grey)
    xx, yy, xy = (blur(np.asarray(tensor), 7) for tensor in (dx * dx, dy * dy, dx * dy))
    curl_y, curl_x = np.gradient(blur(swirl, 6))
    norm = np.hypot(curl_x, curl_y) + 1e-9
    weight = strength * 2e-4
    cos2 = xx - yy + weight * (curl_x**2 - curl_y**2) / norm**2
    sin2 = 2 * xy + weight * 2 * curl_x * curl_y / norm**2
    along: NDArray[np.float32] = (0.5 * np.arctan2(sin2, cos2) + np.pi / 2).astype(np.float32)
    return along
