"""The form of a phase: what it refuses, what it fixes, what it hides."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localtime, now

from arena.accounts.models import User
from competitions import publishing
from competitions.models import Competition, Phase, ReferenceSet, ScoringRecipe
from competitions.models.phase import Direction
from competitions.networks import Networks, pins_of
from styletransfer import pretrained
from styletransfer.surrogates import BY_ROLE, INCEPTION, PINS, VGG
from styletransfer.values import ExtractorPin
from tests.factories import (
    make_competition,
    make_phase,
    make_recipe,
    make_reference_set,
    make_scored_submission,
    make_team,
    make_user,
)
from tests.organizing.scene import make_organizer

pytestmark = pytest.mark.django_db

ADD = "admin:competitions_phase_add"
HASH = "a" * 64


class Desk:
    """A draft competition with a reference set and a recipe, and its organizer."""

    def __init__(self, **fields: Any) -> None:
        self.competition: Competition = make_competition(**({"published_at": None} | fields))
        self.organizer: User = make_organizer(self.competition)
        self.references = owned_references(self.competition)
        self.recipe: ScoringRecipe = make_recipe(competition=self.competition)
        self.client = Client()
        self.client.force_login(self.organizer)

    def fields(self, **changes: Any) -> dict[str, Any]:
        opens = localtime(now() + timedelta(days=1))
        closes = opens + timedelta(days=7)
        return {
            "competition": self.competition.pk,
            "name": "First",
            "position": "1",
            "description": "",
            "opens_at_0": opens.date().isoformat(),
            "opens_at_1": "12:00:00",
            "closes_at_0": closes.date().isoformat(),
            "closes_at_1": "12:00:00",
            "reference_set": self.references.pk,
            "recipe": self.recipe.pk,
            "networks": "surrogates",
            "ranking_metric": "total",
            "board_pair_position": "0",
            "quota_per_day": "5",
            "quota_total": "",
            "quota_concurrent": "2",
            "free_failures": "0",
            "time_limit_s": "300",
            "workers": "evaluation",
            "memory_limit_mib": "3072",
            "max_checkpoint_mib": "256",
        } | changes

    def add(self, **changes: Any) -> str:
        response = self.client.post(reverse(ADD), self.fields(**changes), follow=True)
        return response.content.decode()


def owned_references(competition: Competition) -> ReferenceSet:
    made = make_reference_set()
    ReferenceSet.objects.filter(pk=made.pk).update(competition=competition)
    made.refresh_from_db()
    return made


def page_of(phase: Phase) -> str:
    return reverse("admin:competitions_phase_change", args=[phase.pk])


def test_a_phase_is_made_with_networks_and_metric_chosen_in_words() -> None:
    desk = Desk()
    desk.add()
    phase = Phase.objects.get()
    assert phase.extractors == {"vgg": PINS[VGG], "inception": PINS[INCEPTION]}
    assert (phase.ranking_metric, phase.ranking_direction) == ("total", Direction.LOWER)
    assert phase.max_checkpoint_bytes == 256 * 2**20
    assert phase.memory_limit_bytes == 3 * 2**30


def test_what_is_measured_of_a_run_does_not_rank() -> None:
    desk = Desk()
    desk.recipe = make_recipe(competition=desk.competition, metrics=["total", "parameters"])
    text = desk.client.get(reverse(ADD)).content.decode()
    assert 'value="lpips"' in text
    assert 'value="parameters"' not in text
    desk.add(ranking_metric="parameters")
    assert not Phase.objects.exists()
    phase = make_phase(recipe=desk.recipe, ranking_metric="parameters")
    missing = [item.code for item in publishing.check_phase(phase) if not item.is_done]
    assert "ranking" in missing


def test_a_phase_pins_the_networks_that_its_recipe_needs_and_no_others() -> None:
    desk = Desk()
    desk.add()
    phase = Phase.objects.get()
    assert list(phase.extractors) == ["vgg", "inception"]
    learned = make_recipe(competition=desk.competition, metrics=["total", "lpips"])
    changes = desk.fields(recipe=learned.pk)
    assert desk.client.post(page_of(phase), changes).status_code == 302
    phase = Phase.objects.get()
    # What was pinned stays; what the new recipe needs came to it.
    assert phase.extractors == {role: PINS[name] for role, name in BY_ROLE.items()}


def test_the_direction_follows_from_the_metric() -> None:
    desk = Desk()
    desk.recipe = make_recipe(competition=desk.competition, metrics=["total", "ssim"])
    desk.add(ranking_metric="ssim")
    assert Phase.objects.get().ranking_direction == Direction.HIGHER


def test_a_metric_that_the_recipe_does_not_measure_can_not_rank() -> None:
    text = Desk().add(ranking_metric="ssim")
    assert "The recipe does not measure this. It measures: " in text
    assert not Phase.objects.exists()


def test_reference_set_and_recipe_have_to_be_of_the_same_competition() -> None:
    desk = Desk()
    second = make_competition()
    second.organizers.add(desk.organizer)
    text = desk.add(reference_set=owned_references(second).pk)
    assert "This one belongs to another competition." in text
    text = desk.add(recipe=make_recipe(competition=second).pk)
    assert "This one belongs to another competition." in text
    assert not Phase.objects.exists()


def test_anothers_reference_set_can_not_even_be_named() -> None:
    desk = Desk()
    text = desk.add(reference_set=owned_references(make_competition()).pk)
    assert "Select a valid choice" in text
    assert not Phase.objects.exists()


def test_a_phase_closes_after_it_opens() -> None:
    text = Desk().add(closes_at_0="2020-01-01")
    assert "A phase closes after it opens." in text


def test_two_phases_of_a_competition_have_different_names() -> None:
    desk = Desk()
    desk.add()
    desk.add(name="Second")
    second = Phase.objects.get(name="Second")
    response = desk.client.post(page_of(second), desk.fields(name="First"))
    assert response.status_code == 200
    second.refresh_from_db()
    assert second.name == "Second"


def test_what_scores_depend_on_is_fixed_once_there_are_submissions() -> None:
    desk = Desk()
    desk.add()
    phase = Phase.objects.get()
    make_scored_submission(phase=phase, team=make_team(make_user(), phase=phase))
    text = desk.client.get(page_of(phase)).content.decode()
    assert "There are submissions, so what scores depend on is fixed" in text
    other = make_recipe(competition=desk.competition)
    changes = desk.fields(
        recipe=other.pk,
        reference_set=owned_references(desk.competition).pk,
        ranking_metric="style",
        networks="official",
        quota_per_day="9",
        closes_at_0="2199-01-01",
    )
    assert desk.client.post(page_of(phase), changes).status_code == 302
    after = Phase.objects.get(pk=phase.pk)
    for name in ("recipe_id", "reference_set_id", "ranking_metric", "extractors"):
        assert getattr(after, name) == getattr(phase, name), name
    assert after.quota_per_day == 9
    assert after.closes_at is not None
    assert after.closes_at.year == 2199


def test_a_phase_with_submissions_is_never_deleted() -> None:
    desk = Desk()
    desk.add()
    phase = Phase.objects.get()
    make_scored_submission(phase=phase, team=make_team(make_user(), phase=phase))
    url = reverse("admin:competitions_phase_delete", args=[phase.pk])
    assert desk.client.post(url, {"post": "yes"}).status_code == 403


def test_a_phase_of_a_published_competition_is_complete_or_not_saved() -> None:
    desk = Desk(published_at=now())
    empty = ReferenceSet.objects.create(name="empty", competition=desk.competition)
    text = desk.add(reference_set=empty.pk)
    assert "The competition is published, so this may not lack" in text
    assert not Phase.objects.exists()
    desk.add()
    assert Phase.objects.exists()


def test_official_networks_need_their_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, settings: Any
) -> None:
    settings.WEIGHTS_DIR = tmp_path
    text = Desk().add(networks="official")
    assert "The official weights are not on this server yet" in text
    assert not Phase.objects.exists()

    def found(name: str, **_options: Any) -> ExtractorPin:
        return ExtractorPin(name, HASH)

    monkeypatch.setattr(pretrained, "local_pin", found)
    Desk().add(networks="official")
    phase = Phase.objects.get()
    assert [pin.sha256 for pin in phase.extractors.values()] == [HASH, HASH]
    assert not phase.uses_surrogates


def test_where_only_workers_have_the_files_an_earlier_phase_tells_the_hash(
    tmp_path: Any, settings: Any
) -> None:
    settings.WEIGHTS_DIR = tmp_path
    pins = {role: ExtractorPin(name, HASH) for role, name in pretrained.OFFICIAL.items()}
    make_phase(extractors=pins)
    assert pins_of(Networks.OFFICIAL, pins) == pins


def test_times_are_read_in_the_organizers_zone_and_the_form_says_which() -> None:
    desk = Desk()
    desk.organizer.time_zone = "Asia/Shanghai"
    desk.organizer.save()
    assert "Asia/Shanghai" in desk.client.get(reverse(ADD)).content.decode()
    desk.add(opens_at_0="2099-06-01", opens_at_1="08:00:00", closes_at_0="2099-07-01")
    assert Phase.objects.get().opens_at.isoformat() == "2099-06-01T00:00:00+00:00"


def test_a_new_phase_is_offered_what_its_competition_has() -> None:
    desk = Desk()
    second = make_competition()
    second.organizers.add(desk.organizer)
    elsewhere = owned_references(second)
    text = desk.client.get(f"{reverse(ADD)}?competition={desk.competition.pk}").content.decode()
    assert f">{desk.references.name}<" in text
    assert f">{elsewhere.name}<" not in text
