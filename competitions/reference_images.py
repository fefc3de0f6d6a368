"""What organizers change in a reference set before it freezes: images, their credit, pairs."""

from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.utils.translation import gettext_lazy as _

from competitions.errors import Conflict, Invalid
from competitions.file_removal import remove_files_later
from competitions.models import ImageRole, Pair, Pairing, ReferenceImage, ReferenceSet

# Each pair is generated and scored once per submission: more would take hours.
MOST_PAIRS = 10_000


def lock_thawed(reference_set: ReferenceSet) -> ReferenceSet:
    """Return the set's row, locked until the transaction ends; it can't freeze meanwhile.

    Raises:
        Conflict: it is in use.
    """
    row = ReferenceSet.objects.select_for_update().get(pk=reference_set.pk)
    if row.frozen_at is not None:
        raise Conflict(
            "reference_set_in_use", _("This reference set is in use: make a new one instead.")
        )
    return row


def plan_pairs(
    contents: Sequence[int], styles: Sequence[int], pairing: str
) -> list[tuple[int, int]]:
    """Return which content meets which style, in the order of the pairs."""
    if not styles:
        return []
    if pairing == Pairing.ALL:
        return [(content, style) for content in contents for style in styles]
    return [(content, styles[turn % len(styles)]) for turn, content in enumerate(contents)]


@transaction.atomic
def make_pairs(reference_set: ReferenceSet) -> int:
    """Make the pairs anew by the set's ``pairing``; return how many there are.

    Raises:
        Conflict: the set is in use.
        Invalid: there would be more than ``MOST_PAIRS``.
    """
    row = lock_thawed(reference_set)
    images = ReferenceImage.objects.filter(reference_set=row).order_by("position")
    contents, styles = (
        list(images.filter(role=role).values_list("pk", flat=True))
        for role in (ImageRole.CONTENT, ImageRole.STYLE)
    )
    planned = len(contents) * (len(styles) if row.pairing == Pairing.ALL else 1)
    if planned > MOST_PAIRS:
        raise Invalid(
            "too_many_pairs",
            _("That would be %(pairs)d pairs; a set has at most %(limit)d. Use fewer images.")
            % {"pairs": planned, "limit": MOST_PAIRS},
            pairs=planned,
            limit=MOST_PAIRS,
        )
    Pair.objects.filter(reference_set=row).delete()
    pairs = plan_pairs(contents, styles, row.pairing)
    Pair.objects.bulk_create(
        Pair(reference_set=row, position=position, content_id=content, style_id=style)
        for position, (content, style) in enumerate(pairs)
    )
    return len(pairs)


@transaction.atomic
def delete_images(reference_set: ReferenceSet, images: Iterable[int]) -> int:
    """Take images out of a set, make its pairs anew, and remove the files once that is sure.

    Raises:
        Conflict: the set is in use.
    """
    row = lock_thawed(reference_set)
    doomed = ReferenceImage.objects.filter(reference_set=row, pk__in=list(images))
    found = list(doomed)
    Pair.objects.filter(reference_set=row).delete()
    doomed.delete()
    _close_gaps(row)
    make_pairs(row)
    remove_files_later(_files_of(found))
    return len(found)


def _close_gaps(reference_set: ReferenceSet) -> None:
    """Number the images of each role from 0 again."""
    for role in ImageRole.values:
        rows: QuerySet[ReferenceImage] = ReferenceImage.objects.filter(
            reference_set=reference_set, role=role
        )
        for place, image in enumerate(rows.order_by("position")):
            if image.position != place:  # ever smaller: the place is free already
                ReferenceImage.objects.filter(pk=image.pk).update(position=place)


def _files_of(images: Iterable[ReferenceImage]) -> list[FieldFile]:
    return [file for image in images for file in (image.file, image.thumbnail)]


@transaction.atomic
def credit_images(
    reference_set: ReferenceSet, images: Iterable[int], words: Mapping[str, str]
) -> int:
    """Say of images who made them, and by which right they are used; empty words change nothing.

    Raises:
        Conflict: the set is in use.
    """
    row = lock_thawed(reference_set)
    given = {key: words[key] for key in ("credit", "licence", "source") if words.get(key)}
    chosen = ReferenceImage.objects.filter(reference_set=row, pk__in=list(images))
    return chosen.update(**given) if given else 0


@transaction.atomic
def delete_reference_set(reference_set: ReferenceSet) -> None:
    """Delete a set with its images and whatever was uploaded for it.

    Raises:
        Conflict: it is in use.
        ProtectedError: a phase is to be scored against it.
    """
    row = lock_thawed(reference_set)
    images = list(ReferenceImage.objects.filter(reference_set=row))
    uploads = [each.upload for each in row.preparations.exclude(upload="")]
    Pair.objects.filter(reference_set=row).delete()
    row.delete()
    remove_files_later([*_files_of(images), *uploads])
