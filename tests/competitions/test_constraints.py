"""The database refuses what must never be, whoever writes to it."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction
from django.utils.timezone import now

from competitions import services
from competitions.models import (
    ImageRole,
    LeaderboardEntry,
    Pair,
    Participant,
    Phase,
    ReferenceImage,
    ReferenceSet,
    ScoringRecipe,
)
from styletransfer.values import hash_references
from tests.factories import (
    make_competition,
    make_phase,
    make_recipe,
    make_reference_set,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db


def refused(write: Callable[[], Any]) -> None:
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        write()


@pytest.mark.parametrize(
    "change",
    [
        {"closes_at": now() - timedelta(days=30)},
        {"quota_per_day": 0},
        {"quota_concurrent": 0},
        {"max_checkpoint_bytes": 0},
        {"time_limit_s": 0},
        {"memory_limit_bytes": 2**20},
        {"ranking_direction": "up"},
    ],
)
def test_a_phase_has_sensible_limits(change: dict[str, Any]) -> None:
    phase = make_phase()
    refused(lambda: Phase.objects.filter(pk=phase.pk).update(**change))


def test_a_phase_may_never_close() -> None:
    assert make_phase(closes_at=None).is_open_at(now() + timedelta(days=10_000))


def test_a_phase_is_open_from_its_opening_up_to_its_closing() -> None:
    start = now()
    phase = make_phase(opens_at=start, closes_at=start + timedelta(hours=1))
    assert phase.is_open_at(start)
    assert not phase.is_open_at(start - timedelta(microseconds=1))
    assert not phase.is_open_at(start + timedelta(hours=1))


def test_names_are_unique_within_a_competition() -> None:
    competition = make_competition()
    phase = make_phase(name="A", competition=competition)
    refused(lambda: make_phase(name="A", competition=competition))
    make_phase(name="A")
    make_team(phase=phase, name="Us")
    refused(lambda: make_team(phase=phase, name="Us"))


def test_a_user_is_on_one_team_of_a_competition() -> None:
    phase, user = make_phase(), make_user()
    make_team(user, phase=phase)
    other = make_team(phase=phase)
    refused(
        lambda: Participant.objects.create(user=user, competition=phase.competition, team=other)
    )


def test_e_mail_addresses_are_unique_whatever_their_case() -> None:
    make_user(email="ada@example.org")
    refused(lambda: make_user(email="Ada@Example.ORG"))
    make_user(email="")
    make_user(email="")


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": -1.0},
        {"gamma": 0.5, "discriminator_sha256": ""},
        {"normalization": "other"},
    ],
)
def test_a_recipe_makes_sense(change: dict[str, Any]) -> None:
    recipe = make_recipe()
    refused(lambda: ScoringRecipe.objects.filter(pk=recipe.pk).update(**change))


def test_a_recipe_in_use_stays_as_it_is() -> None:
    recipe = make_recipe()
    recipe.alpha = 2.0
    recipe.save()
    make_phase(recipe=recipe)
    recipe.alpha = 3.0
    with pytest.raises(ValidationError):
        recipe.save()


def entry(**fields: Any) -> LeaderboardEntry:
    phase = fields.pop("phase", None) or make_phase()
    team = fields.pop("team", None) or make_team(phase=phase)
    defaults = {"submission_id": uuid4(), "scores": {}, "submitted_at": now(), "ranking_value": 1.0}
    return LeaderboardEntry.objects.create(phase=phase, team=team, **(defaults | fields))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_finite_values_are_on_a_board(value: float) -> None:
    refused(lambda: entry(ranking_value=value))


def test_an_unranked_entry_says_why_and_a_ranked_one_does_not() -> None:
    refused(lambda: entry(ranking_value=None))
    refused(lambda: entry(ranking_value=1.0, unranked_reason="missing"))
    refused(lambda: entry(ranking_value=None, unranked_reason="whim"))
    entry(ranking_value=None, unranked_reason="missing")


def test_a_team_has_one_entry_on_a_board() -> None:
    first = entry()
    refused(lambda: entry(phase=first.phase, team=first.team))


# --- Reference sets -----------------------------------------------------------------------------
def test_a_reference_set_is_frozen_together_with_its_hash() -> None:
    thawed = ReferenceSet.objects.create(name="new")
    rows = ReferenceSet.objects.filter(pk=thawed.pk)
    refused(lambda: rows.update(frozen_at=now()))
    refused(lambda: rows.update(sha256="0" * 64))
    refused(lambda: rows.update(image_size=16))


def test_freezing_twice_changes_nothing() -> None:
    frozen = make_reference_set()
    before = (frozen.sha256, frozen.frozen_at)
    services.freeze_reference_set(frozen)
    assert (frozen.sha256, frozen.frozen_at) == before
    assert len(frozen.sha256) == 64


def test_nothing_in_a_frozen_set_is_changed_added_or_deleted() -> None:
    frozen = make_reference_set()
    image, pair = frozen.images.all()[0], frozen.pairs.all()[0]
    position = frozen.images.count() + 1
    added = ReferenceImage(reference_set=frozen, role=ImageRole.REAL, position=position)
    attempts: list[Callable[[], Any]] = [
        image.save,
        image.delete,
        pair.save,
        pair.delete,
        added.save,
        Pair(reference_set=frozen, position=99, content=pair.content, style=pair.style).save,
        frozen.images.filter(role=ImageRole.REAL).delete,
        frozen.pairs.all().delete,
        lambda: frozen.images.update(pixels_sha256="0" * 64),
        lambda: ReferenceImage.objects.bulk_create([added]),
    ]
    for attempt in attempts:
        with pytest.raises(ValidationError):
            attempt()


def test_a_frozen_set_may_be_renamed_but_not_thawed() -> None:
    frozen = make_reference_set()
    frozen.name = "Another name"
    frozen.save()
    frozen.sha256, frozen.frozen_at = "", None
    with pytest.raises(ValidationError):
        frozen.save()


def test_a_set_in_use_cannot_be_deleted() -> None:
    phase = make_phase()
    with pytest.raises(Exception, match="protected"):
        phase.reference_set.delete()


def test_the_hash_tells_sets_apart_by_pixels_places_and_pairs() -> None:
    images = {"content": ["a", "b"], "style": ["s"], "real": []}

    def hash_of(**changes: Any) -> str:
        parts: dict[str, Any] = {"image_size": 32, "pixel_hashes": images, "pairs": [(0, 0)]}
        return hash_references(**(parts | changes))

    different = {
        hash_of(),
        hash_of(image_size=64),
        hash_of(pixel_hashes={**images, "content": ["b", "a"]}),
        hash_of(pixel_hashes={**images, "style": ["t"]}),
        hash_of(pixel_hashes={**images, "real": ["r"]}),
        hash_of(pairs=[(1, 0)]),
        hash_of(pairs=[]),
    }
    assert len(different) == 7
    assert hash_of() == hash_of(pixel_hashes=dict(reversed(images.items())))
