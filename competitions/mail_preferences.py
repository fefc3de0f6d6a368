"""Which mails somebody wants, and the link in each mail that ends its kind without a log-in."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core import signing
from django.urls import reverse

from competitions.models import MailKind, MailRefusal
from competitions.people import User

# The field of the user that says yes or no to a kind.
FIELDS = {
    MailKind.SUBMISSION: "mail_submissions",
    MailKind.ANNOUNCEMENT: "mail_announcements",
    MailKind.INVITATION: "mail_invitations",
    MailKind.OPERATIONS: "mail_operations",
}
_SALT = "competitions.mail.unsubscribe"


class BadLink(Exception):
    """The link was not made here, or was changed on its way."""


def wants(user: User, kind: MailKind) -> bool:
    return bool(user.is_active and user.email and getattr(user, FIELDS[kind]))


def refuses(address: str) -> bool:
    """Say whether an address without an account has asked for no more mails."""
    return MailRefusal.objects.filter(address__iexact=address).exists()


def unsubscribe_path(kind: MailKind, *, user: User | None, address: str) -> str:
    """Return the path that ends mails of ``kind``: for a user, or for an address without one."""
    who: dict[str, Any] = {"user": user.pk} if user else {"address": address}
    # Without an end: the link in an old mail has to work too, and gives nothing away.
    return reverse("unsubscribe", args=[signing.dumps({"kind": kind, **who}, salt=_SALT)])


def read_link(token: str) -> MailKind:
    """Return the kind of mail that a link ends.

    Raises:
        BadLink: it is not one of ours.
    """
    return MailKind(_read(token)["kind"])


def unsubscribe(token: str) -> MailKind:
    """End the mails that a link stands for, once or again, and return their kind.

    Raises:
        BadLink: it is not one of ours.
    """
    read = _read(token)
    kind = MailKind(read["kind"])
    if "user" in read:
        get_user_model().objects.filter(pk=read["user"]).update(**{FIELDS[kind]: False})
    elif not refuses(read["address"]):
        MailRefusal.objects.bulk_create(
            [MailRefusal(address=read["address"])], ignore_conflicts=True
        )
    return kind


def _read(token: str) -> dict[str, Any]:
    try:
        read: dict[str, Any] = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise BadLink from None
    return read
