"""A file whose age tells whoever started this process that it lives, such as a container engine."""

import logging
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)


def show() -> None:
    """Touch the file that ``ARENA_SIGN_OF_LIFE`` names, if it names one."""
    if settings.SIGN_OF_LIFE:
        try:
            Path(settings.SIGN_OF_LIFE).touch()
        except OSError:  # no reason to stop working
            log.warning("could not touch %s", settings.SIGN_OF_LIFE, exc_info=True)
