"""Setting, describing and removing the banner of a competition."""

from django.db import transaction

from competitions.file_removal import remove_files_later
from competitions.models import Banner, Competition


@transaction.atomic
def set_banner(competition: Competition, banner: Banner) -> None:
    """Head a competition by ``banner``, a new row with its file, instead of the one before."""
    row = Competition.objects.select_for_update().get(pk=competition.pk)
    _take_away(row)
    banner.competition = row
    banner.save()


@transaction.atomic
def remove_banner(competition: Competition) -> bool:
    """Take the banner away; return whether there was one."""
    return _take_away(Competition.objects.select_for_update().get(pk=competition.pk))


def describe_banner(competition: Competition, alt: str) -> bool:
    """Say anew what the banner shows; return whether there is one."""
    return Banner.objects.filter(competition=competition).update(alt=alt) == 1


@transaction.atomic
def delete_competition(competition: Competition) -> None:
    """Delete a competition with its banner and whatever was uploaded for it.

    Raises:
        ProtectedError: it has phases, or something that they are made of.
    """
    remove_banner(competition)
    uploads = [each.upload for each in competition.preparations.exclude(upload="")]
    competition.delete()
    remove_files_later(uploads)


def _take_away(competition: Competition) -> bool:
    banner = Banner.objects.filter(competition=competition).first()
    if banner is None:
        return False
    banner.delete()
    remove_files_later([banner.file])
    return True
