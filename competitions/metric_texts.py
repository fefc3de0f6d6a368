"""What people read about a metric: its name, a short one for narrow columns, one sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from styletransfer.metric_specs import METRICS

Text = str | Promise


@dataclass(frozen=True)
class MetricText:
    key: str
    title: Text
    short: Text
    explanation: Text
    direction: Literal["lower", "higher"] = "lower"
    needs: Sequence[Text] = ()


_NEEDS: Mapping[str, Text] = {
    "inception": _("Needs the Inception network and two reference images or more."),
    "lpips": _("Needs the LPIPS network."),
    "discriminator": _("Needs a discriminator."),
}

_TEXTS = {
    text.key: text
    for text in (
        MetricText(
            "total",
            _("Total loss"),
            pgettext_lazy("column", "Total"),
            _("The weighted sum of content, style and adversarial loss."),
        ),
        MetricText(
            "content",
            _("Content loss"),
            pgettext_lazy("column", "Content"),
            _("How far the output's features are from the content image's; 0 for an exact copy."),
        ),
        MetricText(
            "style",
            _("Style loss"),
            pgettext_lazy("column", "Style"),
            _("How far the output's Gram matrices are from the style image's; 0 for the style."),
        ),
        MetricText(
            "adversarial",
            _("Adversarial loss"),
            pgettext_lazy("column", "Adversarial"),
            _("How surely the discriminator takes the output for something other than a painting."),
        ),
        MetricText(
            "fid_pytorch",
            _("Fréchet inception distance (pytorch-fid)"),
            pgettext_lazy("column", "FID"),
            _("How far the outputs as a whole are from reference paintings nobody gets to see."),
        ),
        MetricText(
            "content_relative",
            _("Content loss relative to style paste"),
            pgettext_lazy("column", "Content, rel."),
            _("Content loss divided by that of returning the style image; 1 keeps nothing."),
        ),
        MetricText(
            "style_relative",
            _("Style loss relative to identity"),
            pgettext_lazy("column", "Style, rel."),
            _("Style loss divided by that of returning the photograph; 1 means no style at all."),
        ),
        MetricText(
            "fid_clean",
            _("Fréchet inception distance (clean-fid)"),
            pgettext_lazy("column", "FID, clean"),
            _("As FID, but with images resized without aliasing, as clean-fid does."),
        ),
        MetricText(
            "kid",
            _("Kernel inception distance"),
            pgettext_lazy("column", "KID"),
            _("As FID, but unbiased for few images; it may be a little below zero."),
        ),
        MetricText(
            "mifid",
            _("Memorization-informed FID"),
            pgettext_lazy("column", "MiFID"),
            _("As FID, but made worse where outputs are copies of the reference paintings."),
        ),
        MetricText(
            "ssim",
            _("Structural similarity to the content image"),
            pgettext_lazy("column", "SSIM"),
            _("How alike output and content image are in light, contrast and structure; 1: equal."),
        ),
        MetricText(
            "cfsd",
            _("Content feature structural distance"),
            pgettext_lazy("column", "CFSD"),
            _("How far the self-similarity of the output's features is from the content image's."),
        ),
        MetricText(
            "lpips",
            _("Learned perceptual distance to the content image"),
            pgettext_lazy("column", "LPIPS"),
            _("How different people would find output and content image; 0: the same picture."),
        ),
        MetricText(
            "artfid",
            _("ArtFID"),
            pgettext_lazy("column", "ArtFID"),
            _("(1 + LPIPS) (1 + FID): content and style in one figure that is 1 at best."),
        ),
        MetricText(
            "ms_per_image",
            _("Time per image, milliseconds"),
            pgettext_lazy("column", "ms per image"),
            _("The generator's median time per picture, by the platform's clock; it varies a bit."),
        ),
        MetricText(
            "parameters",
            _("Parameters"),
            pgettext_lazy("column", "Parameters"),
            _("How many weights the generator has, as it was loaded."),
        ),
        MetricText(
            "peak_memory",
            _("Peak memory"),
            pgettext_lazy("column", "Memory, MiB"),
            _("The memory that loading and running the generator added at most, in MiB."),
        ),
    )
}


def describe_metric(key: str) -> MetricText:
    """Return the texts of a metric; one that has none is shown by its own title or key."""
    spec = METRICS.get(key)
    direction = spec.direction if spec else "lower"
    text = _TEXTS.get(key)
    if text is None:
        title = spec.title if spec else key
        return MetricText(key, title, title, "", direction)
    needs = [_NEEDS[need] for need in _NEEDS if spec and need in spec.needs]
    return replace(text, direction=direction, needs=needs)
