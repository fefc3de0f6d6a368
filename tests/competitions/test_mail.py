"""Who is written to, in which words, and how they end it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils.timezone import now
from django.utils.translation import gettext, override
from pytest_django import DjangoAssertNumQueries, Settings

from arena.accounts.models import User
from competitions.mail import announce, invite
from competitions.models import (
    Announcement,
    Invitation,
    MailKind,
    MailRefusal,
    OutgoingMail,
    Phase,
)
from tests.factories import make_phase, make_team, make_user

pytestmark = pytest.mark.django_db


def make_announcement(phase: Phase, **fields: str) -> Announcement:
    defaults = {"title": "New data", "body": "We have *new* data."}
    return Announcement.objects.create(competition=phase.competition, **(defaults | fields))


def make_invitation(*, by: User | None = None, email: str = "new@example.org") -> Invitation:
    phase, by = make_phase(), by or make_user()
    return Invitation.objects.create(
        team=make_team(by, phase=phase, name="Brushes"),
        key_sha256="0" * 64,
        email=email,
        created_by=by,
        expires_at=datetime(2030, 1, 31, 20, 30, tzinfo=UTC),
    )


def unsubscribe_address(mail: OutgoingMail) -> str:
    return str(mail.headers["List-Unsubscribe"]).strip("<>").removeprefix("http://127.0.0.1:8000")


def test_an_announcement_goes_to_everybody_who_takes_part_and_to_nobody_else() -> None:
    phase, elsewhere = make_phase(), make_phase()
    alice, bob, stranger = make_user(), make_user(), make_user()
    make_team(alice, bob, phase=phase)
    make_team(stranger, phase=elsewhere)
    assert announce(make_announcement(phase)) == 2
    assert set(OutgoingMail.objects.values_list("address", flat=True)) == {alice.email, bob.email}
    mail = OutgoingMail.objects.filter(user=alice).get()
    assert mail.subject == f"New data · {phase.competition.title}"
    assert "We have *new* data." in mail.text
    assert "<p>We have <em>new</em> data.</p>" in mail.html
    for body in (mail.text, mail.html):
        assert f"http://127.0.0.1:8000/competitions/{phase.competition.slug}/" in body
        assert "http://127.0.0.1:8000/settings/" in body
        assert unsubscribe_address(mail) in body


def test_who_has_no_address_or_wants_no_mails_or_was_shut_out_is_not_written_to() -> None:
    phase = make_phase()
    make_team(make_user(email=""), phase=phase, is_baseline=True)
    make_team(make_user(mail_announcements=False), phase=phase)
    make_team(make_user(is_active=False), phase=phase)
    make_team(wants_this := make_user(mail_submissions=False, mail_invitations=False), phase=phase)
    assert announce(make_announcement(phase)) == 1
    assert OutgoingMail.objects.get().user == wants_this


def test_everybody_reads_their_own_language_and_time_zone() -> None:
    for language, zone, moment in (
        ("en", "America/New_York", "31 Jan 2030, 15:30 UTC\N{MINUS SIGN}5"),
        ("zh-hans", "Asia/Shanghai", "2030年2月1日 04:30 UTC+8"),
        ("", "Nowhere/Unknown", "31 Jan 2030, 20:30 UTC"),
    ):
        reader = make_user(language=language, time_zone=zone)
        assert invite(make_invitation(email=reader.email.upper()), "/invitations/key/")
        mail = OutgoingMail.objects.filter(user=reader).get()
        assert moment in mail.text, mail.text
        assert f'<html lang="{language or "en"}">' in mail.html
        assert ("你" in mail.text) == (language == "zh-hans")
        with override(language or "en"):
            assert gettext("You are a member only after you have accepted, here:") in mail.text
        OutgoingMail.objects.all().delete()
        Invitation.objects.all().delete()


def test_a_stranger_is_invited_in_the_language_of_who_invites_them() -> None:
    invitation = make_invitation(by=make_user(username="lin", language="zh-hans"))
    assert invite(invitation, "https://arena.example/invitations/key/")
    mail = OutgoingMail.objects.get()
    assert (mail.kind, mail.user, mail.address) == (MailKind.INVITATION, None, "new@example.org")
    assert "2030年1月31日" in mail.text
    assert "lin" in mail.subject
    assert "Brushes" in mail.text
    assert "https://arena.example/invitations/key/" in mail.text
    assert "/settings/" not in mail.text, "whoever has no account has no settings"


def test_an_invitation_without_an_address_is_not_mailed() -> None:
    assert not invite(make_invitation(email=""), "/invitations/key/")
    assert not OutgoingMail.objects.exists()


def test_who_wants_no_invitations_gets_none() -> None:
    reader = make_user(mail_invitations=False)
    assert not invite(make_invitation(email=reader.email), "/invitations/key/")
    assert not OutgoingMail.objects.exists()


def test_links_lead_to_where_the_site_is(settings: Settings) -> None:
    settings.SITE_URL = "https://arena.example/styles"
    invite(make_invitation(), "/invitations/key/")
    mail = OutgoingMail.objects.get()
    links = re.findall(r"https?://[^\s<>\"]+", mail.text)
    assert "https://arena.example/invitations/key/" in links
    assert all(link.startswith("https://arena.example/") for link in links)
    assert mail.headers["Message-ID"].endswith("@arena.example>")


def test_what_is_rolled_back_sends_nothing() -> None:
    phase = make_phase()
    make_team(make_user(), phase=phase)
    with transaction.atomic():
        assert announce(make_announcement(phase)) == 1
        transaction.set_rollback(True)
    assert not OutgoingMail.objects.exists()


def test_nobody_can_put_markup_or_further_headers_into_a_mail() -> None:
    phase = make_phase()
    make_team(make_user(), phase=phase)
    announce(
        make_announcement(phase, title="Hi\r\nBcc: all@example.org", body="<script>x</script>")
    )
    mail = OutgoingMail.objects.get()
    assert mail.subject.startswith("Hi Bcc: all@example.org")
    assert "<script" not in mail.html
    OutgoingMail.objects.all().delete()
    invite(make_invitation(by=make_user(username="<b>mallory</b>")), "/invitations/key/")
    mail = OutgoingMail.objects.get()
    assert "<b>" not in mail.html
    assert "<b>mallory</b>" in mail.text, "text is not escaped"


def test_an_announcement_to_many_asks_the_database_no_more_often(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    phase = make_phase()
    announcement = make_announcement(phase)
    for expected in (3, 40):
        while phase.competition.participants.count() < expected:
            make_team(make_user(), phase=phase)
        with django_assert_num_queries(2):
            assert announce(announcement) == expected


def test_one_click_ends_one_kind_of_mail_without_a_log_in(client: Client) -> None:
    phase = make_phase()
    reader, other = make_user(), make_user()
    make_team(reader, other, phase=phase)
    announce(make_announcement(phase))
    mail = OutgoingMail.objects.filter(user=reader).get()
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = unsubscribe_address(mail)
    program = Client(enforce_csrf_checks=True)

    page = program.get(address)
    assert page.status_code == 200
    assert str(MailKind.ANNOUNCEMENT.label) in page.content.decode()
    reader.refresh_from_db()
    assert reader.mail_announcements, "a program that follows every link must not end anything"

    for _ in range(2):
        assert program.post(address, {"List-Unsubscribe": "One-Click"}).status_code == 200
    reader.refresh_from_db()
    other.refresh_from_db()
    assert not reader.mail_announcements
    assert reader.mail_submissions
    assert other.mail_announcements
    OutgoingMail.objects.all().delete()
    announce(make_announcement(phase))
    assert OutgoingMail.objects.get().user == other


def test_an_address_without_an_account_can_end_invitations_too(client: Client) -> None:
    invite(make_invitation(email="New@Example.org"), "/invitations/key/")
    address = unsubscribe_address(OutgoingMail.objects.get())
    for _ in range(2):
        assert client.post(address).status_code == 200
    assert MailRefusal.objects.count() == 1
    Invitation.objects.all().delete()
    assert not invite(make_invitation(email="new@example.org"), "/invitations/key/")
    # Whoever signs up with it decides anew, in their settings.
    make_user(email="new@example.org")
    Invitation.objects.all().delete()
    assert invite(make_invitation(email="new@example.org"), "/invitations/key/")


def test_a_link_that_was_changed_ends_nothing(client: Client) -> None:
    invite(make_invitation(), "/invitations/key/")
    address = unsubscribe_address(OutgoingMail.objects.get())
    for broken in (address[:-2] + "/", address.replace("/unsubscribe/", "/unsubscribe/x")):
        assert client.get(broken).status_code == 404
        assert client.post(broken).status_code == 404
    assert not MailRefusal.objects.exists()


def test_a_mail_waits_from_the_moment_it_is_written() -> None:
    invite(make_invitation(), "/invitations/key/")
    assert OutgoingMail.objects.due_at(now()).count() == 1
    OutgoingMail.objects.update(not_before=now() + timedelta(minutes=1))
    assert not OutgoingMail.objects.due_at(now()).exists()
