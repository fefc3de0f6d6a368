"""Which feature networks a phase scores with, as one choice instead of names and hashes."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from competitions.errors import Unavailable
from competitions.models import Phase
from styletransfer import pretrained, surrogates
from styletransfer.errors import WeightsMismatch
from styletransfer.values import ExtractorPin


class Networks(models.TextChoices):
    OFFICIAL = "official", _("official VGG-19 and Inception: scores compare with published ones")
    SURROGATES = "surrogates", _("surrogates: stand-in weights, to try things out")


_NAMES = {
    Networks.OFFICIAL: (pretrained.VGG, pretrained.INCEPTION),
    Networks.SURROGATES: (surrogates.VGG, surrogates.INCEPTION),
}


def pins_of(networks: Networks) -> tuple[ExtractorPin, ExtractorPin]:
    """Return the pins of VGG and Inception, without ever downloading anything.

    Raises:
        Unavailable: the published weights are not on this server, or are damaged.
    """
    vgg, inception = _NAMES[networks]
    return _pin(vgg), _pin(inception)


def _pin(name: str) -> ExtractorPin:
    try:
        pin = pretrained.local_pin(name, weights_dir=settings.WEIGHTS_DIR)
    except WeightsMismatch as error:
        raise _missing(name) from error
    pin = pin or _pin_of_other_phases(name)
    if pin is None:
        raise _missing(name)
    return pin


def _pin_of_other_phases(name: str) -> ExtractorPin | None:
    """Where only the workers have the files, an earlier phase tells the hash."""
    for phase in Phase.objects.filter(models.Q(vgg_name=name) | models.Q(inception_name=name))[:1]:
        return phase.vgg if phase.vgg_name == name else phase.inception
    return None


def _missing(name: str) -> Unavailable:
    return Unavailable(
        "weights_unavailable",
        _(
            "The official weights are not on this server yet, or are damaged. An administrator "
            "fetches them with “manage.py fetch_weights”; until then choose the surrogates."
        ),
        name=name,
    )


def networks_of(phase: Phase) -> Networks:
    return Networks.SURROGATES if phase.uses_surrogates else Networks.OFFICIAL
