"""An organizer makes a competition, sees what it lacks, and opens and hides it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from competitions import publishing
from competitions.errors import Conflict
from competitions.models import (
    Competition,
    Phase,
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceSet,
)
from competitions.policies import may_organize
from tests.factories import (
    make_competition,
    make_phase,
    make_recipe,
    make_reference_set,
    make_scored_submission,
    make_user,
)
from tests.organizing.scene import make_organizer

pytestmark = pytest.mark.django_db

FIELDS = {
    "title": "Winter",
    "slug": "winter",
    "summary": "Snow on everything.",
    "description": "Paint **snow**.",
    "max_team_size": "3",
    "teams_freeze_at_0": "",
    "teams_freeze_at_1": "",
    "rules": "",
    "data_description": "",
    "terms": "",
    "added_organizers": "",
}


def make_client(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(competition: Competition) -> str:
    return reverse("admin:competitions_competition_change", args=[competition.pk])


def button(competition: Competition, name: str) -> str:
    return reverse(f"admin:competitions_competition_{name}", args=[competition.pk])


def make_ready_draft() -> Competition:
    """Make a draft that lacks nothing."""
    competition = make_competition(published_at=None)
    references = make_reference_set()
    ReferenceSet.objects.filter(pk=references.pk).update(competition=competition)
    references.refresh_from_db()
    recipe = make_recipe(competition=competition)
    make_phase(competition=competition, reference_set=references, recipe=recipe)
    return competition


def missing(competition: Competition) -> set[str]:
    return {item.code for item in publishing.lacking(publishing.checklist(competition))}


def test_whoever_makes_a_competition_runs_it() -> None:
    user = make_organizer()
    client = make_client(user)
    response = client.post(reverse("admin:competitions_competition_add"), FIELDS)
    made = Competition.objects.get(slug="winter")
    assert response.headers["Location"] == page_of(made)
    assert list(made.organizers.all()) == [user]
    assert not made.is_published
    text = client.get(page_of(made)).content.decode()
    assert "There is a phase" in text
    assert f"?competition={made.pk}" in text


def test_a_colleague_is_added_by_address_and_may_then_open_the_page() -> None:
    competition = make_competition()
    organizer = make_organizer(competition)
    colleague = make_user(email="Colleague@example.org")
    assert not may_organize(colleague)
    sent = FIELDS | {"added_organizers": "colleague@EXAMPLE.org"}
    assert make_client(organizer).post(page_of(competition), sent).status_code == 302
    assert set(competition.organizers.all()) == {organizer, colleague}
    assert make_client(colleague).get(page_of(competition)).status_code == 200
    said = [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert f"Added {colleague.username} as an organizer" in said


def test_whoever_has_no_account_can_not_be_added() -> None:
    competition = make_competition()
    client = make_client(make_organizer(competition))
    # A user name that looks like an address must not catch what is meant for that address.
    make_user(username="prof@example.edu", email="other@example.org")
    sent = FIELDS | {"added_organizers": "prof@example.edu"}
    response = client.post(page_of(competition), sent)
    assert "Nobody has an account under “prof@example.edu”" in response.content.decode()
    assert competition.organizers.count() == 1


def test_an_organizer_is_removed_but_never_the_last_one() -> None:
    competition = make_competition()
    first, second = make_organizer(competition), make_organizer(competition)
    client = make_client(first)
    client.post(page_of(competition), FIELDS | {"removed_organizers": [str(second.pk)]})
    assert list(competition.organizers.all()) == [first]
    response = client.post(page_of(competition), FIELDS | {"removed_organizers": [str(first.pk)]})
    assert "A competition needs an organizer" in response.content.decode()
    assert list(competition.organizers.all()) == [first]


def test_a_stranger_can_not_be_removed_from_elsewhere_through_this_page() -> None:
    competition, elsewhere = make_competition(), make_competition()
    other = make_organizer(elsewhere)
    client = make_client(make_organizer(competition))
    client.post(page_of(competition), FIELDS | {"removed_organizers": [str(other.pk)]})
    assert other in elsewhere.organizers.all()


def test_a_draft_that_lacks_nothing_is_published_and_everybody_sees_it() -> None:
    competition = make_ready_draft()
    client = make_client(make_organizer(competition))
    assert Client().get(competition.get_absolute_url()).status_code == 404
    response = client.post(button(competition, "publish"), follow=True)
    assert "Published" in response.content.decode()
    assert Client().get(competition.get_absolute_url()).status_code == 200
    assert LogEntry.objects.filter(object_id=str(competition.pk)).exists()


def test_a_draft_that_lacks_something_is_not_published() -> None:
    competition = make_competition(published_at=None)
    client = make_client(make_organizer(competition))
    response = client.post(button(competition, "publish"), follow=True)
    text = response.content.decode()
    assert "Not published" in text
    assert "Lacking" in text
    competition.refresh_from_db()
    assert competition.published_at is None
    assert not LogEntry.objects.exists()


def test_the_checklist_finds_each_thing_that_lacks() -> None:
    competition = make_ready_draft()
    assert missing(competition) == set()
    phase = Phase.objects.get()
    references, recipe = phase.reference_set, phase.recipe

    type(competition).objects.update(summary="")
    competition.refresh_from_db()
    assert missing(competition) == {"texts"}
    type(competition).objects.update(summary="Again")
    competition.refresh_from_db()

    Phase.objects.update(ranking_metric="ssim")
    assert missing(competition) == {"ranking"}
    Phase.objects.update(ranking_metric="total")

    type(recipe).objects.update(alpha=0, beta=0)
    assert missing(competition) == {"weights"}
    type(recipe).objects.update(style_weights=[1])
    assert missing(competition) == {"recipe"}
    type(recipe).objects.update(alpha=1, style_weights=[0.2] * 5)

    type(recipe).objects.update(gamma=1, discriminator_sha256="0" * 64)
    assert missing(competition) == {"discriminator"}
    type(recipe).objects.update(gamma=0, discriminator_sha256="")

    waiting = Preparation.objects.create(
        kind=PreparationKind.IMAGES, reference_set=references, role="real"
    )
    assert missing(competition) == {"images_prepared"}
    waiting.delete()

    empty = ReferenceSet.objects.create(name="empty", competition=competition)
    Phase.objects.update(reference_set=empty)
    assert missing(competition) == {"images", "real_images"}
    type(recipe).objects.update(metrics=["content", "style", "total"])
    assert missing(competition) == {"images"}

    phase.delete()
    assert missing(competition) == {"phase"}


def test_a_recipe_counts_as_calibrated_only_with_the_weights_that_were_found() -> None:
    competition = make_ready_draft()
    phase = Phase.objects.select_related("recipe").get()
    assert not publishing.is_calibrated(phase)
    done = Preparation.objects.create(
        kind=PreparationKind.CALIBRATION,
        reference_set=phase.reference_set,
        recipe=phase.recipe,
        status=PreparationStatus.DONE,
        result={"alpha": 1.0, "beta": 1.0, "gamma": 0.0},
    )
    assert publishing.is_calibrated(phase)
    done.result["alpha"] = 2.0
    done.save()
    assert not publishing.is_calibrated(phase)
    assert competition.phases.count() == 1


def test_a_published_competition_is_hidden_again_with_a_reason_in_its_history() -> None:
    competition = make_ready_draft()
    publishing.publish(competition)
    client = make_client(make_organizer(competition))
    response = client.post(button(competition, "unpublish"), {"reason": " "}, follow=True)
    assert "Say why" in response.content.decode()
    assert Competition.objects.get().is_published
    client.post(button(competition, "unpublish"), {"reason": "wrong pictures"})
    assert Competition.objects.get().published_at is None
    entry = LogEntry.objects.get(object_id=str(competition.pk))
    assert "wrong pictures" in entry.get_change_message()


def test_publishing_twice_is_refused() -> None:
    competition = make_ready_draft()
    publishing.publish(competition)
    with pytest.raises(Conflict):
        publishing.publish(competition)


def test_a_competition_with_submissions_is_never_deleted() -> None:
    submission = make_scored_submission()
    competition = submission.phase.competition
    for user in (make_organizer(competition), make_user(is_staff=True, is_superuser=True)):
        url = reverse("admin:competitions_competition_delete", args=[competition.pk])
        assert make_client(user).post(url, {"post": "yes"}).status_code == 403
    assert Competition.objects.filter(pk=competition.pk).exists()


def test_the_address_is_fixed_once_people_know_it() -> None:
    competition = make_competition(published_at=now() - timedelta(days=1))
    client = make_client(make_organizer(competition))
    before = competition.slug
    assert client.post(page_of(competition), FIELDS).status_code == 302
    competition.refresh_from_db()
    assert (competition.slug, competition.title) == (before, "Winter")


@pytest.mark.parametrize("name", ["publish", "unpublish"])
def test_nothing_is_published_or_hidden_by_a_link(name: str) -> None:
    competition = make_ready_draft()
    assert (
        make_client(make_organizer(competition)).get(button(competition, name)).status_code == 405
    )
