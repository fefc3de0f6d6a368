"""Ask workers for what organizers need: images imported, a banner, a recipe calibrated."""

from pathlib import PurePath

from django.core.files import File
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from competitions import messages
from competitions.errors import Conflict, Invalid
from competitions.models import (
    Competition,
    ImageRole,
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceSet,
    ScoringRecipe,
)
from competitions.people import User
from competitions.queues import PREPARATIONS
from styletransfer.values import ExtractorPin

PREPARE = "evaluation.prepare"
OPEN = (PreparationStatus.WAITING, PreparationStatus.RUNNING)


def send(preparation_id: int) -> bool:
    """Tell the workers of a row that waits; return whether the message went out."""
    if not messages.send(PREPARE, queue=PREPARATIONS, row=preparation_id):
        return False
    Preparation.objects.filter(pk=preparation_id).update(dispatched_at=Now())
    return True


@transaction.atomic
def request_import(
    reference_set: ReferenceSet,
    *,
    upload: File[bytes],
    role: ImageRole,
    by: User,
    credit: str = "",
    licence: str = "",
    source: str = "",
) -> Preparation:
    """Have a picture, or a zip of pictures, made images of a set that nothing uses yet.

    Raises:
        Conflict: the set is in use and never changes again.
    """
    row = ReferenceSet.objects.select_for_update().get(pk=reference_set.pk)
    if row.frozen_at is not None:
        raise Conflict(
            "reference_set_in_use", _("This reference set is in use: make a new one instead.")
        )
    preparation = Preparation(
        kind=PreparationKind.IMAGES,
        reference_set=row,
        role=role,
        credit=credit,
        licence=licence,
        source=source,
        requested_by=by,
    )
    _keep_upload(preparation, upload)
    return _request(preparation)


@transaction.atomic
def request_banner(
    competition: Competition, *, upload: File[bytes], alt: str, by: User
) -> Preparation:
    """Have a picture made the banner of a competition.

    The row's ``result`` says from the start what the picture shows ("alt").

    Raises:
        Conflict: a banner of it is being made already.
    """
    row = Competition.objects.select_for_update().get(pk=competition.pk)
    if row.preparations.filter(status__in=OPEN).exists():
        raise Conflict(
            "banner_being_made",
            _("The banner uploaded before is being prepared still. Wait until that has ended."),
        )
    preparation = Preparation(
        kind=PreparationKind.BANNER, competition=row, result={"alt": alt}, requested_by=by
    )
    _keep_upload(preparation, upload)
    return _request(preparation)


def _keep_upload(preparation: Preparation, upload: File[bytes]) -> None:
    """Store what was uploaded under a name of ours: what its sender called it is only a label."""
    preparation.file_name = PurePath(upload.name or "").name[-100:]
    preparation.upload.save("upload.bin", upload, save=False)


@transaction.atomic
def request_calibration(
    recipe: ScoringRecipe, reference_set: ReferenceSet, *, vgg: ExtractorPin, by: User
) -> Preparation:
    """Have a recipe's weights measured on a set, so that the terms of its total count alike.

    The row's ``result`` says from the start with which network ("vgg": name and sha256); the
    worker adds "alpha", "beta" and "gamma" and sets them in the recipe unless it came in use.

    Raises:
        Conflict: the recipe is in use, or is being calibrated already.
        Invalid: the set belongs to another competition, or has no pairs.
    """
    row = ScoringRecipe.objects.select_for_update().get(pk=recipe.pk)
    if row.is_used:
        raise Conflict(
            "recipe_in_use", _("This recipe is in use: duplicate it and calibrate the copy.")
        )
    if row.preparations.filter(status__in=OPEN).exists():
        raise Conflict("already_calibrating", _("This recipe is being calibrated already."))
    if row.competition_id != reference_set.competition_id:
        raise Invalid(
            "another_competition", _("Recipe and reference set belong to different competitions.")
        )
    if not reference_set.pairs.exists():
        raise Invalid(
            "no_pairs",
            _("This reference set has no pairs yet: add content and style images to it first."),
        )
    return _request(
        Preparation(
            kind=PreparationKind.CALIBRATION,
            reference_set=reference_set,
            recipe=row,
            requested_by=by,
            result={"vgg": {"name": vgg.name, "sha256": vgg.sha256}},
        )
    )


def _request(preparation: Preparation) -> Preparation:
    preparation.full_clean(
        exclude=["competition", "reference_set", "recipe", "requested_by", "upload"]
    )
    preparation.save()
    row = preparation.pk
    # Robust: once the row is there, no trouble with the message may undo it.
    transaction.on_commit(lambda: send(row), robust=True)
    return preparation
