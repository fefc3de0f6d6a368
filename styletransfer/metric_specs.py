"""Which metrics there are, and what the platform has to know of each; free of Django and torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """What the rest of the platform has to know about a metric.

    Attributes:
        per_pair: it has a value for each pair, whose mean is the score.
        needs: of ``EXTRACTORS`` and ``discriminator``; empty where pixels are enough.
        low: the smallest value it can have; None for minus infinity.
        high: the largest value it can have; None for infinity.
        source: what it is a property of: the ``outputs``, or the ``run`` of the generator. Those of
            runs differ a little from run to run; cards hold them as measurements, not as scores.
        convention: how it is computed, in a few words that stay the same as long as the version
            does; what a recipe chooses stands in braces.
        unit: of the value; None for a pure number.
        interval: what ``Estimate.low`` and ``high`` mean: a 95 % ``confidence`` interval from
            resampled pairs, a resampling ``spread``, or ``none``.
    """

    key: str
    version: int
    direction: Direction
    per_pair: bool
    needs: frozenset[str]
    title: str
    low: float | None = 0.0
    high: float | None = None
    interval: Literal["confidence", "spread", "none"] = "confidence"
    source: Literal["outputs", "run"] = "outputs"
    convention: str = ""
    unit: str | None = None


def _pair_metric(key: str, title: str, needs: str, convention: str) -> MetricSpec:
    named = frozenset(needs.split())
    return MetricSpec(key, 1, "lower", True, named, title, convention=convention)


def _set_metric(
    key: str,
    title: str,
    convention: str,
    needs: str = "inception",
    *,
    low: float | None = 0.0,
    interval: Literal["spread", "none"] = "spread",
) -> MetricSpec:
    named = frozenset(needs.split())
    return MetricSpec(
        key, 1, "lower", False, named, title, low=low, interval=interval, convention=convention
    )


def _run_metric(key: str, title: str, convention: str, unit: str | None) -> MetricSpec:
    return MetricSpec(
        key,
        1,
        "lower",
        False,
        frozenset(),
        title,
        interval="none",
        source="run",
        convention=convention,
        unit=unit,
    )


METRICS: Mapping[str, MetricSpec] = {
    spec.key: spec
    for spec in (
        _pair_metric(
            "content",
            "Content loss",
            "vgg",
            "half the squared distance of VGG-19 {recipe.content_layer} (Gatys et al. 2016)",
        ),
        _pair_metric(
            "style",
            "Style loss",
            "vgg",
            "squared distance of VGG-19 Gram matrices, {recipe.normalization} (Gatys et al. 2016)",
        ),
        _pair_metric(
            "adversarial",
            "Adversarial loss",
            "discriminator",
            "LSGAN generator loss, mean over patches (Mao et al. 2017)",
        ),
        _pair_metric(
            "total",
            "Total loss",
            "vgg",
            "{recipe.alpha:g} content + {recipe.beta:g} style + {recipe.gamma:g} adversarial",
        ),
        _set_metric("fid_pytorch", "FID (pytorch-fid)", "pytorch-fid 0.3.0 preprocessing"),
        _pair_metric(
            "content_relative",
            "Content loss relative to style paste",
            "vgg",
            "content / content of the style image as output",
        ),
        _pair_metric(
            "style_relative",
            "Style loss relative to identity",
            "vgg",
            "style / style of the content image as output",
        ),
        _set_metric("fid_clean", "FID (clean-fid)", "clean-fid preprocessing, mode clean"),
        _set_metric(
            "kid",
            "KID",
            "unbiased, cubic kernel, no subsets; pytorch-fid 0.3.0 preprocessing",
            low=None,
        ),
        _set_metric(
            "mifid",
            "MiFID",
            "fid_pytorch / memorization distance below 0.1 (Bai et al. 2021)",
            interval="none",
        ),
        MetricSpec(
            "ssim",
            1,
            "higher",
            True,
            frozenset(),
            "SSIM to the content",
            low=-1,
            high=1,
            convention="RGB, 11 x 11 Gaussian window of sigma 1.5 (Wang et al. 2004)",
        ),
        _pair_metric(
            "cfsd",
            "CFSD",
            "vgg",
            "self-similarity of VGG-19 {recipe.content_layer} (Chung et al. 2024)",
        ),
        _pair_metric(
            "lpips",
            "LPIPS to the content",
            "lpips",
            "LPIPS 0.1 on AlexNet, not resized (Zhang et al. 2018)",
        ),
        _set_metric(
            "artfid",
            "ArtFID",
            "(1 + lpips) (1 + fid_pytorch) (Wright and Ommer 2022)",
            "inception lpips",
            low=1.0,
            interval="none",
        ),
        _run_metric(
            "ms_per_image",
            "Milliseconds per image",
            "median wall time, the first image left out",
            "ms",
        ),
        _run_metric("parameters", "Parameters", "weights that were loaded", None),
        _run_metric("peak_memory", "Peak memory", "added to the idle process, at most", "byte"),
    )
}

EXTRACTORS = ("vgg", "inception", "lpips")
"""The roles of the feature networks that phases pin, each by a name and a hash."""

DEFAULT_METRICS = (
    "content",
    "style",
    "adversarial",
    "total",
    "fid_pytorch",
    "content_relative",
    "style_relative",
)
"""What a recipe measures unless it says otherwise."""
