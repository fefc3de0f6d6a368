"""Making a competition's banner of what an organizer uploaded."""

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models.functions import Now

from competitions.banners import set_banner
from competitions.models import Banner, Preparation, PreparationStatus
from competitions.preparation_problems import PreparationRejected
from evaluation.image_upload import MOST_BYTES_OF_ONE
from evaluation.lease import Lease
from evaluation.preparation_files import folder_of, remove_leftovers
from evaluation.preparations import PreparationStopped
from styletransfer.images import convert_banner, encode_banner
from styletransfer.picture_files import ImageRejected


def make_banner(preparation: Preparation, lease: Lease) -> bool:
    """Make the upload the banner; return whether this attempt still held the row at the end.

    Raises:
        PreparationRejected: the organizer's fault; the banner before stays.
        PreparationStopped: there is no reason to go on.
    """
    remove_leftovers(preparation)
    try:
        banner = _store(preparation)
        if lease.should_stop:
            raise PreparationStopped
        is_made = _record_banner(preparation, banner)
    except BaseException:
        remove_leftovers(preparation, up_to=preparation.attempt)
        raise
    if not is_made:
        remove_leftovers(preparation, up_to=preparation.attempt)
    return is_made


def _store(preparation: Preparation) -> Banner:
    label = preparation.file_name
    with preparation.upload.open("rb") as file:
        data = file.read(MOST_BYTES_OF_ONE + 1)
    if len(data) > MOST_BYTES_OF_ONE:
        raise PreparationRejected("file_too_large", file=label, limit=MOST_BYTES_OF_ONE)
    try:
        pixels = convert_banner(data)
    except ImageRejected as error:
        raise PreparationRejected(error.code, **{**error.facts, "file": label}) from error
    height, width, _channels = pixels.shape
    banner = Banner(width=width, height=height, alt=preparation.result["alt"])
    name = f"{folder_of(preparation, preparation.attempt)}/banner.webp"
    banner.file.name = banner.file.storage.save(name, ContentFile(encode_banner(pixels)))
    return banner


@transaction.atomic
def _record_banner(preparation: Preparation, banner: Banner) -> bool:
    """Set the banner and end the preparation together, if the attempt holds it still."""
    if preparation.competition is None:  # a constraint forbids it
        raise ValueError("a banner of no competition")
    set_banner(preparation.competition, banner)
    ended = preparation.end(
        PreparationStatus.DONE, progress_done=1, progress_of=1, finished_at=Now()
    )
    if not ended:
        transaction.set_rollback(True)
    return ended
