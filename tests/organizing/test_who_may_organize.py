"""Who gets into the organizers' pages, from one table of people and addresses."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.urls import reverse

from arena.accounts.models import User
from competitions.admin.base import OrganizerAdmin
from competitions.models import Announcement, ScoringRecipe
from competitions.policies import may_organize
from tests.factories import make_team, make_user
from tests.organizing.scene import Scene, make_organizer, make_scene

pytestmark = pytest.mark.django_db

People = dict[str, Callable[[Scene], User | None]]

PEOPLE: People = {
    "anonymous": lambda scene: None,
    "stranger": lambda scene: make_user(),
    "participant": lambda scene: _participant(scene),
    # Somebody who organizes, but whose rights were taken by an administrator.
    "no longer staff": lambda scene: _organizer(scene, is_staff=False),
    "blocked": lambda scene: _organizer(scene, is_active=False),
    "staff without the group": lambda scene: make_user(is_staff=True),
    "organizer of another competition": lambda scene: make_organizer(),
    "organizer": lambda scene: scene.organizer,
    "administrator": lambda scene: make_user(is_staff=True, is_superuser=True),
}
OUT, NOTHING, OTHERS, ALL = "not let in", "an empty page", "others' pages only", "everything"
EXPECTED = {
    "anonymous": OUT,
    "stranger": OUT,
    "participant": OUT,
    "no longer staff": OUT,
    "blocked": OUT,
    "staff without the group": NOTHING,
    "organizer of another competition": OTHERS,
    "organizer": ALL,
    "administrator": ALL,
}


def _participant(scene: Scene) -> User:
    user = make_user()
    make_team(user, phase=scene.phase)
    return user


def _organizer(scene: Scene, **fields: bool) -> User:
    user = make_organizer(scene.competition)
    User.objects.filter(pk=user.pk).update(**fields)
    user.refresh_from_db()
    return user


def client_of(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def is_answered(client: Client, url: str, *, post: bool = False) -> bool:
    """Say whether there is a page, or an act was done: not a log-in, a refusal or nothing."""
    response = client.post(url) if post else client.get(url)
    if response.status_code == 302:
        where = response.headers["Location"]
        return post and "login" not in where and where != reverse("admin:index")
    return response.status_code == 200


@pytest.mark.parametrize("name", PEOPLE)
def test_everybody_finds_what_is_theirs(name: str) -> None:
    scene = make_scene("alfa")
    client = client_of(PEOPLE[name](scene))
    expected = EXPECTED[name]
    assert is_answered(client, reverse("admin:index")) == (expected != OUT)
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model, page in admin.site._registry.items()
        if isinstance(page, OrganizerAdmin)
    ]
    for url in lists:
        assert is_answered(client, url) == (expected in {OTHERS, ALL}), url
    add = reverse("admin:competitions_competition_add")
    assert is_answered(client, add) == (expected in {OTHERS, ALL})
    for row in (scene.competition, scene.phase, scene.recipe, scene.reference_set):
        url = reverse(f"admin:competitions_{row._meta.model_name}_change", args=[row.pk])
        assert is_answered(client, url) == (expected == ALL), url


@pytest.mark.parametrize("name", PEOPLE)
def test_acts_are_done_by_those_who_run_the_competition(name: str) -> None:
    scene = make_scene("alfa")
    client = client_of(PEOPLE[name](scene))
    recipe = ScoringRecipe.objects.get(name="alfa unused recipe")
    announcement = Announcement.objects.get()
    for act, row in (
        ("competitions_competition_publish", scene.competition),
        ("competitions_competition_unpublish", scene.competition),
        ("competitions_scoringrecipe_duplicate", recipe),
        ("competitions_scoringrecipe_calibrate", recipe),
        ("competitions_announcement_publish", announcement),
    ):
        url = reverse(f"admin:{act}", args=[row.pk])
        assert is_answered(client, url, post=True) == (EXPECTED[name] == ALL), act


def test_being_an_organizer_is_staff_and_group_together() -> None:
    assert not may_organize(AnonymousUser())
    user = make_organizer()
    assert may_organize(user)
    user.is_active = False
    assert not may_organize(user)
