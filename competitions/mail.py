"""Mails to people: written together with the change they tell of, sent later by the sweeper.

Whoever calls this writes rows in their own transaction and waits for no mail server; a change
that is rolled back sends nothing. ``competitions.mail_delivery`` sends what was written.
"""

import re
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import make_msgid
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.template import Context, Engine
from django.urls import reverse
from django.utils import timezone, translation

from competitions.mail_preferences import refuses, unsubscribe_path, wants
from competitions.models import Announcement, Competition, Invitation, MailKind, OutgoingMail, Team
from competitions.people import User

SUBJECT_CHARACTERS = 200
# Stands for a reader's own link, so that a text is rendered once for all who read the same one.
_OWN_LINK = "https://own-link.invalid/"


@dataclass(frozen=True)
class Reader:
    """Whom a mail goes to, and how they read: language and time zone empty for the site's own."""

    address: str
    language: str = ""
    time_zone: str = ""
    user: User | None = None

    @classmethod
    def of(cls, user: User) -> "Reader":
        return cls(user.email, user.language, user.time_zone, user)


def announce(announcement: Announcement) -> int:
    """Mail an announcement to everybody who takes part; return how many mails wait to be sent.

    Call it once, in the transaction that publishes the announcement.
    """
    competition = announcement.competition
    return notify(
        MailKind.ANNOUNCEMENT,
        "announcement",
        readers_of(competition),
        page=competition.get_absolute_url(),
        context={"announcement": announcement, "competition": competition},
    )


def invite(invitation: Invitation, url: str) -> bool:
    """Mail an invitation to its address; return whether a mail waits to be sent.

    None does if it has no address, or whoever has it wants no such mails: then show the link.
    ``url`` is where it is accepted, key included; a path or a full address.
    """
    address, inviter = invitation.email, invitation.created_by
    known = get_user_model().objects.filter(email__iexact=address).first() if address else None
    if not address or (known is None and refuses(address)):
        return False
    # Of a stranger we know only who writes to them: most likely in a language both speak.
    reader = Reader.of(known) if known else Reader(address, inviter.language)
    team = invitation.team
    written = notify(
        MailKind.INVITATION,
        "invitation",
        [reader],
        page=url,
        context={
            "invitation": invitation,
            "team": team,
            "competition": team.competition,
            "inviter": inviter,
        },
    )
    return written == 1


def readers_of(group: Competition | Team) -> list[Reader]:
    """Return everybody in a competition or in a team who can be written to."""
    users = get_user_model().objects.filter(is_active=True).exclude(email="").order_by("pk")
    if isinstance(group, Team):
        users = users.filter(participations__team=group)
    else:
        users = users.filter(participations__competition=group)
    return [Reader.of(user) for user in users]


def notify(
    kind: MailKind,
    template: str,
    readers: Iterable[Reader],
    *,
    page: str,
    context: Mapping[str, Any],
) -> int:
    """Write a mail to each reader who wants this kind, and return how many were written.

    The rows belong to the caller's transaction. Texts are rendered in the reader's language and
    time zone from ``mail/<template>.subject.txt``, ``mail/<template>.txt`` and, where there is
    one, ``mail/<template>.html``. ``page`` is where the reader goes from here, a path or a full
    address; lazy texts in ``context`` come out in the reader's language.
    """
    rendered: dict[tuple[str, str, bool], _Text] = {}
    mails = []
    for reader in readers:
        if not reader.address or (reader.user is not None and not wants(reader.user, kind)):
            continue
        key = (reader.language, reader.time_zone, reader.user is None)
        if key not in rendered:
            rendered[key] = _render(template, reader, page=page, context=context)
        mails.append(_address(rendered[key], kind, reader))
    return len(OutgoingMail.objects.bulk_create(mails))


def full_address(path: str) -> str:
    """Return the address of a page as people outside need it; workers have no request to ask."""
    return urljoin(f"{settings.SITE_URL}/", path)


@dataclass(frozen=True)
class _Text:
    subject: str
    text: str
    html: str


def _render(template: str, reader: Reader, *, page: str, context: Mapping[str, Any]) -> _Text:
    engine = Engine.get_default()
    shared = {
        **context,
        "page": full_address(page),
        "preferences": full_address(reverse("settings")) if reader.user else "",
        "unsubscribe": _OWN_LINK,
        "language": reader.language or settings.LANGUAGE_CODE,
    }

    def written(name: str) -> str:
        made = engine.get_template(f"mail/{name}").render(Context(shared, autoescape=False))
        return re.sub(r"\n{3,}", "\n\n", made).strip()

    with translation.override(shared["language"]), timezone.override(_zone(reader)):
        shared["subject"] = " ".join(written(f"{template}.subject.txt").split())
        shared["body"], shared["footer"] = written(f"{template}.txt"), written("footer.txt")
        page_template = engine.select_template([f"mail/{template}.html", "mail/layout.html"])
        html = page_template.render(Context(shared))
    text = f"{shared['body']}\n\n-- \n{shared['footer']}\n"
    return _Text(shared["subject"][:SUBJECT_CHARACTERS], text, html)


def _zone(reader: Reader) -> Any:
    try:
        return zoneinfo.ZoneInfo(reader.time_zone or settings.TIME_ZONE)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo(settings.TIME_ZONE)


def _address(text: _Text, kind: MailKind, reader: Reader) -> OutgoingMail:
    link = full_address(unsubscribe_path(kind, user=reader.user, address=reader.address))
    return OutgoingMail(
        kind=kind,
        user=reader.user,
        address=reader.address,
        subject=text.subject,
        text=text.text.replace(_OWN_LINK, link),
        html=text.html.replace(_OWN_LINK, link),
        headers={
            # Sent twice, after a sender died at the wrong moment, it is still the same mail.
            "Message-ID": make_msgid(domain=urlsplit(settings.SITE_URL).hostname),
            "Auto-Submitted": "auto-generated",
            # One click in the reader's mail program is enough (RFC 8058).
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
