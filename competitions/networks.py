"""Which feature networks a phase scores with, as one choice instead of names and hashes."""

from collections.abc import Iterable

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from competitions.errors import Unavailable
from competitions.models import Phase
from styletransfer import pretrained, surrogates
from styletransfer.errors import WeightsMismatch
from styletransfer.values import ExtractorPin


class Networks(models.TextChoices):
    OFFICIAL = "official", _("official: scores compare with published ones")
    SURROGATES = "surrogates", _("surrogates: stand-in weights, to try things out")


_NAMES = {Networks.OFFICIAL: pretrained.OFFICIAL, Networks.SURROGATES: surrogates.BY_ROLE}


def pins_of(networks: Networks, roles: Iterable[str]) -> dict[str, ExtractorPin]:
    """Return the pins of networks by their roles, without ever downloading anything.

    Raises:
        Unavailable: the published weights are not on this server, or are damaged.
    """
    return {role: _pin(role, _NAMES[networks][role]) for role in roles}


def _pin(role: str, name: str) -> ExtractorPin:
    try:
        pin = pretrained.local_pin(name, weights_dir=settings.WEIGHTS_DIR)
    except WeightsMismatch as error:
        raise _missing(name) from error
    pin = pin or _pin_of_other_phases(role, name)
    if pin is None:
        raise _missing(name)
    return pin


def _pin_of_other_phases(role: str, name: str) -> ExtractorPin | None:
    """Where only the workers have the files, an earlier phase tells the hash."""
    phase = Phase.objects.filter(**{f"pinned__{role}__name": name}).first()
    return phase.extractors[role] if phase else None


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
