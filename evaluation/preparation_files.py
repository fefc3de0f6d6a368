"""The files of preparations: uploads, and what each attempt writes into a folder of its own."""

import logging
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError

from competitions.models import Banner, Preparation, PreparationKind, ReferenceImage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Made:
    """What a kind of preparation makes, in whose folder."""

    model: type[Banner] | type[ReferenceImage]
    folder: str


_MADE: dict[str, _Made] = {
    PreparationKind.IMAGES: _Made(ReferenceImage, "references/imports"),
    PreparationKind.BANNER: _Made(Banner, "banners"),
}


def remove_leftovers(preparation: Preparation, *, up_to: int | None = None) -> None:
    """Remove what attempts before this one (or ``up_to`` one) stored and no row refers to."""
    made = _MADE.get(preparation.kind)
    if made is None:
        return
    last = preparation.attempt - 1 if up_to is None else up_to
    for attempt in range(1, last + 1):
        try:
            _empty(made.model, folder_of(preparation, attempt))
        except (OSError, DatabaseError, InterfaceError):
            log.warning("could not clean up after %r", preparation, exc_info=True)


def _empty(model: type[Banner] | type[ReferenceImage], folder: str) -> None:
    storage = model.file.field.storage
    try:
        names = [f"{folder}/{name}" for name in storage.listdir(folder)[1]]
    except (FileNotFoundError, NotADirectoryError):
        return
    # The answer to a commit may be lost, though not the commit.
    kept = model._default_manager.filter(file__startswith=f"{folder}/")
    if kept.exists():
        return
    for name in names:
        storage.delete(name)
    storage.delete(folder)  # the folder itself, where there are folders


def folder_of(preparation: Preparation, attempt: int) -> str:
    return f"{_MADE[preparation.kind].folder}/{preparation.pk}-{attempt}"


def discard_upload(preparation: Preparation) -> None:
    """Remove an upload that has been dealt with: a gigabyte that nobody asks for again."""
    if preparation.upload:
        preparation.upload.storage.delete(str(preparation.upload.name))
        Preparation.objects.filter(pk=preparation.pk).update(upload="")
