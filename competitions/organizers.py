"""Who runs a competition."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from competitions.errors import Conflict, Invalid
from competitions.models import Competition
from competitions.people import User
from competitions.policies import ORGANIZERS


def find_person(text: str) -> User:
    """Return the active account with a user name, or with an e-mail address where there is an @.

    Raises:
        Invalid: there is none.
    """
    # A user name may look like somebody else's address: what has an @ is only ever an address.
    wanted = {"email__iexact": text} if "@" in text else {"username": text}
    found: User | None = get_user_model().objects.filter(is_active=True, **wanted).first()
    if found is None:
        raise Invalid(
            "nobody",
            _("Nobody has an account under “%(who)s”. They have to sign up first."),
            who=text,
        )
    return found


@transaction.atomic
def add_organizer(competition: Competition, user: User) -> None:
    """Let ``user`` run the competition, and into the organizers' pages."""
    competition.organizers.add(user)
    user.groups.add(Group.objects.get_or_create(name=ORGANIZERS)[0])
    if not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])


@transaction.atomic
def remove_organizer(competition: Competition, user: User) -> None:
    """Take the competition from ``user``, who keeps those pages for competitions to come.

    Raises:
        Conflict: nobody would be left.
    """
    Competition.objects.select_for_update().get(pk=competition.pk)
    others = competition.organizers.exclude(pk=user.pk)
    if not others.exists():
        raise Conflict("last_organizer", _("A competition needs an organizer: add another first."))
    competition.organizers.remove(user)
