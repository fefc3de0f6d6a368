"""Telling everybody in a competition something."""

from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions import mail
from competitions.errors import Conflict
from competitions.models import Announcement


@transaction.atomic
def publish_announcement(announcement: Announcement) -> int:
    """Show an announcement and mail it, once and for all; return how many mails go out.

    Raises:
        Conflict: it is published already, or its competition is not.
    """
    if not announcement.competition.is_published:
        raise Conflict(
            "competition_not_published",
            _("Publish the competition first: nobody can see it, so nobody would read this."),
        )
    draft = Announcement.objects.filter(pk=announcement.pk, published_at__isnull=True)
    if not draft.update(published_at=now()):
        raise Conflict("already_published", _("This announcement is published already."))
    announcement.refresh_from_db()
    return mail.announce(announcement)
