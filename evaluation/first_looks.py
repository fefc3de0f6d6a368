"""What a check made, kept for the team until the next check or for good."""

import logging

from django.core.files.base import ContentFile
from django.db import transaction

from evaluation.assignment import FirstLook
from evaluation.models import EvaluationRun, FirstPicture

log = logging.getLogger(__name__)


def store(run: EvaluationRun, first: FirstLook) -> FirstPicture:
    """Write the pictures, outside of any transaction: it takes long."""
    row = FirstPicture(
        run=run, is_test_card=first.is_test_card, hints=first.hints, measured=first.measured
    )
    for name in ("content", "style", "picture"):
        if data := getattr(first, name):
            getattr(row, name).save(f"{run.pk}-{name}.png", ContentFile(data), save=False)
    return row


def replace(run: EvaluationRun, kept: FirstPicture | None) -> None:
    """Keep these pictures of a submission and no earlier ones."""
    earlier = list(FirstPicture.objects.filter(run__submission=run.submission))
    FirstPicture.objects.filter(pk__in=[row.pk for row in earlier]).delete()
    if kept is not None:
        kept.save()

    def remove() -> None:
        for row in earlier:
            remove_files(row)

    transaction.on_commit(remove, robust=True)


def remove_files(row: FirstPicture) -> None:
    """Remove the pictures of a row that is not kept."""
    for file in (row.content, row.style, row.picture):
        if file:
            try:
                file.storage.delete(str(file.name))
            except OSError:
                log.warning("could not remove %s, which no row refers to", file.name, exc_info=True)
