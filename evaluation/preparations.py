"""Preparing for organizers: claim the row, do the work, record what came of it.

An import is all or nothing. Files are written into a folder of the attempt; the rows that name
them, the pairs and the end of the preparation come in one transaction. Whatever a worker that
died has left lies in its attempt's folder, where the next attempt or the sweeper removes it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models.functions import Now

from competitions.errors import DomainError
from competitions.models import (
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceImage,
    ReferenceSet,
)
from competitions.preparation_problems import PreparationRejected
from competitions.reference_images import lock_thawed, make_pairs
from evaluation.image_upload import SHOWN, ImageUpload, Source
from evaluation.lease import Lease
from evaluation.preparation_files import folder_of, remove_leftovers
from evaluation.row_lease import next_expiry
from styletransfer.images import (
    Pixels,
    convert_picture,
    encode_png,
    encode_thumbnail,
    pixels_sha256,
)
from styletransfer.picture_files import ImageRejected, read_picture_size

FAULT = "platform_fault"
LONGEST_IMPORT = timedelta(hours=1)


class PreparationStopped(Exception):
    """The row was taken over, or the worker is to end."""


def begin(preparation_id: int) -> Preparation | None:
    """Claim a preparation for one attempt; return None if it does not wait for one."""
    rows = Preparation.objects.select_related("competition", "reference_set", "recipe")
    preparation = rows.filter(pk=preparation_id).first()
    if preparation is None or not preparation.claim(lease_expires_at=next_expiry()):
        return None
    return preparation


def deadline_of(preparation: Preparation) -> timedelta:
    if preparation.kind != PreparationKind.CALIBRATION:
        return LONGEST_IMPORT
    return LONGEST_IMPORT + timedelta(seconds=30) * set_of(preparation).pairs.count()


def set_of(preparation: Preparation) -> ReferenceSet:
    if preparation.reference_set is None:  # a constraint forbids it
        raise ValueError(f"{preparation!r} is for no reference set")
    return preparation.reference_set


def import_images(preparation: Preparation, lease: Lease) -> bool:
    """Make images of the upload; return whether this attempt still held the row at the end.

    Raises:
        PreparationRejected: the organizer's fault; nothing was imported.
        PreparationStopped: there is no reason to go on.
    """
    remove_leftovers(preparation)
    try:
        images, enlarged = _make_images(preparation, lease)
        imported = _record_import(preparation, images, enlarged)
    except BaseException:
        remove_leftovers(preparation, up_to=preparation.attempt)
        raise
    if not imported:
        remove_leftovers(preparation, up_to=preparation.attempt)
    return imported


def _make_images(preparation: Preparation, lease: Lease) -> tuple[list[ReferenceImage], list[str]]:
    """Decode every picture and store it; return rows to be written, and who was too small."""
    words = {key: getattr(preparation, key) for key in ("credit", "licence", "source")}
    images: list[ReferenceImage] = []
    enlarged: list[str] = []
    pixels_of: dict[str, str] = {}  # what is seen already, and in which file
    with preparation.upload.open("rb") as file:
        upload = ImageUpload(file, label=preparation.file_name, words=words)
        for done, (source, data) in enumerate(upload.pictures()):
            lease.count(done, len(upload.sources))
            if lease.should_stop:
                raise PreparationStopped
            pixels, is_enlarged = _convert(source, data, side=set_of(preparation).image_size)
            if is_enlarged:
                enlarged.append(source.name)
            sha256 = pixels_sha256(pixels)
            if sha256 in pixels_of:
                raise PreparationRejected("same_picture", file=source.file, other=pixels_of[sha256])
            pixels_of[sha256] = source.file
            images.append(_store(preparation, source, pixels, sha256, number=done))
    return images, enlarged


def _convert(source: Source, data: bytes, *, side: int) -> tuple[Pixels, bool]:
    try:
        pixels = convert_picture(data, side=side)
        is_enlarged = min(read_picture_size(data)) < side
    except ImageRejected as error:
        raise PreparationRejected(error.code, **{**error.facts, "file": source.file}) from error
    return pixels, is_enlarged


def _store(
    preparation: Preparation, source: Source, pixels: Pixels, sha256: str, *, number: int
) -> ReferenceImage:
    image = ReferenceImage(
        reference_set=set_of(preparation),
        role=preparation.role,
        name=source.name,
        pixels_sha256=sha256,
        credit=source.words["credit"],
        licence=source.words["licence"],
        source=source.words["source"],
    )
    folder = folder_of(preparation, preparation.attempt)
    storage = image.file.storage
    png, webp = encode_png(pixels), encode_thumbnail(pixels)
    image.file.name = storage.save(f"{folder}/{number:05}.png", ContentFile(png))
    image.thumbnail.name = storage.save(f"{folder}/{number:05}.webp", ContentFile(webp))
    return image


@transaction.atomic
def _record_import(
    preparation: Preparation, images: Sequence[ReferenceImage], enlarged: Sequence[str]
) -> bool:
    """Write rows, pairs and the end of the preparation together, if the attempt holds it still."""
    try:
        reference_set = lock_thawed(set_of(preparation))
        _require_new(preparation, images)
        here = ReferenceImage.objects.filter(reference_set=reference_set, role=preparation.role)
        last = here.order_by("-position").values_list("position", flat=True).first()
        for position, image in enumerate(images, start=0 if last is None else last + 1):
            image.reference_set = reference_set
            image.position = position
        ReferenceImage.objects.bulk_create(images)
        pairs = make_pairs(reference_set)
    except DomainError as error:
        raise PreparationRejected(error.code, **error.facts) from error
    result = {
        "images": len(images),
        "pairs": pairs,
        "enlarged": len(enlarged),
        "enlarged_names": list(enlarged[:SHOWN]),
    }
    ended = preparation.end(
        PreparationStatus.DONE,
        result=result,
        progress_done=len(images),
        progress_of=len(images),
        finished_at=Now(),
    )
    if not ended:
        transaction.set_rollback(True)
    return ended


def _require_new(preparation: Preparation, images: Sequence[ReferenceImage]) -> None:
    """Refuse names that the role has and pictures that the set has, whatever their role."""
    there = ReferenceImage.objects.filter(reference_set=preparation.reference_set_id)
    names = set(there.filter(role=preparation.role).values_list("name", flat=True))
    if taken := [image.name for image in images if image.name in names]:
        raise PreparationRejected("names_taken", names=taken[:SHOWN], found=len(taken))
    known = {
        sha256: (name, role)
        for sha256, name, role in there.values_list("pixels_sha256", "name", "role")
    }
    for image in images:
        if image.pixels_sha256 in known:
            name, role = known[image.pixels_sha256]
            raise PreparationRejected("picture_known", name=image.name, other=name, role=role)


def record_rejection(preparation: Preparation, *, code: str, facts: dict[str, Any]) -> bool:
    """End a preparation by what the organizer can mend."""
    return preparation.end(
        PreparationStatus.REJECTED,
        problem_code=code,
        problem_facts=_without_nul(facts),
        finished_at=Now(),
    )


def _without_nul(value: Any) -> Any:
    """Leave out what PostgreSQL does not keep; names and errors of damaged files may hold it."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {key: _without_nul(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(each) for each in value]
    return value


def record_fault(preparation: Preparation) -> bool:
    """Note that the platform let this attempt down; it is tried again later."""
    status, changes = _after_fault(preparation)
    return preparation.end(status, **changes)


def take_from_lost_worker(preparation: Preparation) -> bool:
    """Give a preparation whose worker went silent to another, later."""
    status, changes = _after_fault(preparation)
    return preparation.take_back(status, **changes)


def _after_fault(preparation: Preparation) -> tuple[PreparationStatus, dict[str, Any]]:
    faults = preparation.faults + 1
    if faults >= settings.EVALUATION_MAX_FAULTS:
        ended = {"faults": faults, "problem_code": FAULT, "finished_at": Now()}
        return PreparationStatus.FAULT, ended
    pause = timedelta(seconds=min(4**faults, 900))
    waits = {"faults": faults, "not_before": Now() + pause, "dispatched_at": None}
    return PreparationStatus.WAITING, waits


def hand_back(preparation: Preparation) -> bool:
    """Let another worker have it at once: this one was asked to end, no fault."""
    return preparation.end(PreparationStatus.WAITING, dispatched_at=None)
