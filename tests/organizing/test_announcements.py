"""Announcements: drafts, then published and mailed once."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils.timezone import now

from competitions.models import Announcement, Competition, OutgoingMail
from tests.factories import make_team, make_user
from tests.organizing.scene import Scene, make_scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene() -> Scene:
    return make_scene("alfa")


@pytest.fixture
def draft(scene: Scene) -> Announcement:
    return Announcement.objects.get()


def page_of(announcement: Announcement) -> str:
    return reverse("admin:competitions_announcement_change", args=[announcement.pk])


def publish(scene: Scene, announcement: Announcement) -> str:
    url = reverse("admin:competitions_announcement_publish", args=[announcement.pk])
    return scene.client.post(url, follow=True).content.decode()


def open_competition(scene: Scene) -> None:
    Competition.objects.filter(pk=scene.competition.pk).update(published_at=now())


def test_an_announcement_is_written_as_a_draft_and_shown_as_it_will_look(scene: Scene) -> None:
    sent = {
        "competition": scene.competition.pk,
        "title": "New pictures",
        "body": "Look **here** <script>alert(1)</script>",
        "_continue": "1",
    }
    url = reverse("admin:competitions_announcement_add")
    text = scene.client.post(url, sent, follow=True).content.decode()
    made = Announcement.objects.get(title="New pictures")
    assert made.author == scene.organizer
    assert made.published_at is None
    assert "<strong>here</strong>" in text
    assert "<script>alert" not in text
    assert not OutgoingMail.objects.exists()


def test_publishing_mails_everybody_who_takes_part_once(scene: Scene, draft: Announcement) -> None:
    open_competition(scene)
    unwilling = make_user(mail_announcements=False)
    make_team(unwilling, phase=scene.phase)
    assert "1 mail goes out" in publish(scene, draft)
    draft.refresh_from_db()
    assert draft.published_at is not None
    addresses = [mail.address for mail in OutgoingMail.objects.all()]
    assert addresses == ["alfa-member@example.org"]
    assert LogEntry.objects.filter(change_message__contains="1 mail goes out").exists()

    assert "published already" in publish(scene, draft)
    assert OutgoingMail.objects.count() == 1


def test_a_published_announcement_is_mended_without_another_mail(
    scene: Scene, draft: Announcement
) -> None:
    open_competition(scene)
    publish(scene, draft)
    changed: dict[str, Any] = {"title": "Mended", "body": "Without the slip"}
    scene.client.post(page_of(draft), changed)
    draft.refresh_from_db()
    assert draft.title == "Mended"
    assert OutgoingMail.objects.count() == 1


def test_nothing_is_announced_in_a_competition_that_nobody_sees(
    scene: Scene, draft: Announcement
) -> None:
    assert "Publish the competition first" in publish(scene, draft)
    draft.refresh_from_db()
    assert draft.published_at is None
    assert not OutgoingMail.objects.exists()
