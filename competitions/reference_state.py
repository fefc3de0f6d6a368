"""How far a reference set has come: derived from what is in it, never stored."""

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from competitions.models import (
    ImageRole,
    Pair,
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceImage,
    ReferenceSet,
)
from competitions.preparations import OPEN


class SetState(models.TextChoices):
    EMPTY = "empty", _("Empty")
    PREPARING = "preparing", _("Preparing")
    INCOMPLETE = "incomplete", _("Incomplete")
    READY = "ready", _("Ready")
    REJECTED = "rejected", _("Rejected")
    FROZEN = "frozen", _("In use")


@dataclass(frozen=True)
class Content:
    """What is in a set."""

    contents: int
    styles: int
    reals: int
    pairs: int

    @property
    def images(self) -> int:
        return self.contents + self.styles + self.reals


def with_content(sets: QuerySet[ReferenceSet]) -> QuerySet[ReferenceSet]:
    """Add what ``content_of`` reads; the number of queries does not grow with the sets'."""
    imports = Preparation.objects.filter(
        reference_set=OuterRef("pk"), kind=PreparationKind.IMAGES
    ).order_by("-created_at", "-pk")
    images = ReferenceImage.objects.all()
    counted = {f"{role}_images": _count(images.filter(role=role)) for role in ImageRole.values}
    return sets.annotate(
        pairs_made=_count(Pair.objects.all()),
        is_preparing=Exists(imports.filter(status__in=OPEN)),
        last_import=Subquery(imports.values("status")[:1]),
        **counted,
    )


def _count(parts: QuerySet[Any]) -> Coalesce:
    # Each in a query of its own: joined, images and pairs would multiply.
    of_set = parts.filter(reference_set=OuterRef("pk")).order_by().values("reference_set")
    return Coalesce(Subquery(of_set.annotate(number=Count("pk")).values("number")), 0)


def content_of(row: Any) -> Content:
    """Count what is in a set that came through ``with_content``."""
    return Content(
        contents=row.content_images,
        styles=row.style_images,
        reals=row.real_images,
        pairs=row.pairs_made,
    )


def state_of(row: Any) -> SetState:
    """Say how far a set has come that came through ``with_content``."""
    content = content_of(row)
    if row.frozen_at is not None:
        return SetState.FROZEN
    if row.is_preparing:
        return SetState.PREPARING
    # A rejection is news until the next upload, whatever else is in the set.
    if row.last_import in {PreparationStatus.REJECTED, PreparationStatus.FAULT}:
        return SetState.REJECTED
    if content.pairs:
        return SetState.READY
    return SetState.INCOMPLETE if content.images else SetState.EMPTY
