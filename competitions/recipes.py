"""Making scoring recipes: the hash that names each, the discriminator, copies of those in use."""

import hashlib
import mmap
from contextlib import closing
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext as _

from competitions.errors import Conflict, Invalid
from competitions.models import ScoringRecipe
from styletransfer.discriminator_file import MAX_BYTES, require_discriminator
from styletransfer.errors import WeightsMismatch


def check_discriminator(upload: "UploadedFile[Any]") -> str:
    """Return the hash of an uploaded discriminator; only its header is read into memory.

    Raises:
        Invalid: it is not a discriminator that this platform can open.
    """
    refused = Invalid(
        "bad_discriminator",
        _(
            "This is not a discriminator that can be used. It has to be a safetensors file of a "
            "PatchGAN, as “manage.py train_baseline” writes it."
        ),
    )
    if not upload.size or upload.size > MAX_BYTES:
        raise refused
    file = upload.file
    if file is None:
        raise refused
    try:
        with closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
            view = memoryview(data)
            try:
                require_discriminator(view)
            finally:
                view.release()
    except WeightsMismatch as error:
        raise refused from error
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    return digest.hexdigest()


@transaction.atomic
def store_recipe(recipe: ScoringRecipe) -> None:
    """Save a recipe under the hash of what it says.

    Raises:
        Conflict: it came in use, and what phases score with never changes.
        InvalidRecipe: its parts contradict each other.
    """
    if recipe.pk is not None:
        row = ScoringRecipe.objects.select_for_update().get(pk=recipe.pk)
        if row.is_used:
            raise Conflict(
                "recipe_in_use", _("This recipe is in use: duplicate it and change the copy.")
            )
    recipe.sha256 = recipe.as_value().sha256()
    recipe.save()


@transaction.atomic
def duplicate_recipe(recipe: ScoringRecipe) -> ScoringRecipe:
    """Return a copy that nothing uses yet, with a discriminator file of its own."""
    copy = ScoringRecipe.objects.get(pk=recipe.pk)
    copy.pk = None
    copy._state.adding = True
    copy.name = _free_name(recipe)
    if recipe.discriminator:
        with recipe.discriminator.open("rb") as file:
            copy.discriminator.save(
                "discriminator.safetensors", ContentFile(file.read()), save=False
            )
    copy.save()
    return copy


def _free_name(recipe: ScoringRecipe) -> str:
    """Name the copy after the original, counting up."""
    length = ScoringRecipe._meta.get_field("name").max_length or 0
    taken = set(
        ScoringRecipe.objects.filter(competition=recipe.competition_id).values_list(
            "name", flat=True
        )
    )
    number = 2
    while True:
        ending = f" ({number})"
        name = f"{recipe.name[: length - len(ending)]}{ending}"
        if name not in taken:
            return name
        number += 1
