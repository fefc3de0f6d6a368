"""What the parameters of the architectures are called, and what may be said of each."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_TEXTS: dict[str, "tuple[str | Promise, str | Promise]"] = {
    "width": (_("Width"), _("Channels of the first layer, such as 16, 32 or 64.")),
    "blocks": (_("Residual blocks"), ""),
    "downs": (_("Halvings"), _("How often it halves the picture: 8 for pictures of 256.")),
    "batch_norm": (
        _("Batch normalization"),
        _("1 with batch normalization, 0 with instance normalization."),
    ),
}


def describe_parameter(name: str) -> tuple[str, str]:
    """Return a label and a help text; a parameter without one is called by its own name."""
    label, help_text = _TEXTS.get(name, (name, ""))
    return str(label), str(help_text)
