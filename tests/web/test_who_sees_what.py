"""Every address asked by everybody: what is hidden is not there, whoever asks for it."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from competitions.models import Phase, ReferenceImage
from evaluation.models import EvaluationRun, Outcome, Stage
from submissions.models import Submission
from submissions.states import Status
from tests.factories import (
    make_competition,
    make_phase,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db

SECRETS = ("secret-file.onnx", "secret words of the generator", "secret_key_name", "secret-worker")


class Scene:
    """A phase with hidden pairs, a scored and a failed submission in it, and people around it."""

    def __init__(self, *, is_published: bool) -> None:
        owner, organizer, rival, stranger, other = (make_user() for _ in range(5))
        made = make_competition(published_at=now() if is_published else None)
        made.organizers.add(organizer)
        elsewhere = make_competition()
        elsewhere.organizers.add(other)
        self.phase: Phase = make_phase(competition=made, pairs_public=False)
        team = make_team(owner, phase=self.phase)
        make_team(rival, phase=self.phase)
        self.scored = make_scored_submission(
            phase=self.phase, team=team, file_name="secret-file.onnx"
        )
        self.failed = make_submission(
            phase=self.phase,
            team=team,
            file_name="secret-file.onnx",
            status=Status.FAILED,
            failure_code="wrong_keys",
            failure_facts={"missing": ["secret_key_name"]},
        )
        EvaluationRun.objects.update(card={"scores": {}, "per_pair": {"content": [1.0, 2.0]}})
        for submission in (self.scored, self.failed):
            EvaluationRun.objects.create(
                submission=submission,
                attempt=9,
                stage=Stage.SCORE,
                outcome=Outcome.REFUSED,
                worker="secret-worker",
                finished_at=now(),
                log="secret words of the generator",
            )
        self.people = {
            "nobody": None,
            "stranger": stranger,
            "rival": rival,
            "organizer of another competition": other,
            "owner": owner,
            "organizer": organizer,
        }

    def client(self, name: str) -> Client:
        client = Client()
        if (user := self.people[name]) is not None:
            client.force_login(user)
        return client

    def addresses_of_pictures(self) -> list[str]:
        images = ReferenceImage.objects.filter(reference_set=self.phase.reference_set)
        return [
            *(reverse("reference-image", args=[image.pk]) for image in images),
            reverse("output", args=[self.scored.pk, 0]),
            reverse("api-output", args=[self.scored.pk, 0]),
        ]

    @staticmethod
    def addresses_of(submission: Submission) -> list[str]:
        names = ("submission", "submission-live", "api-submission", "score-card")
        return [reverse(name, args=[submission.pk]) for name in names]

    def addresses_of_the_phase(self) -> list[str]:
        return [
            self.phase.get_absolute_url(),
            reverse("api-competition", args=[self.phase.competition.slug]),
            reverse("board", args=[self.phase.pk]),
            reverse("api-leaderboard", args=[self.phase.pk]),
        ]


OUTSIDERS = ("nobody", "stranger", "rival", "organizer of another competition")


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    return response.content.decode() if response.status_code < 300 else ""


@pytest.mark.parametrize("name", OUTSIDERS)
def test_outsiders_see_scores_and_nothing_behind_them(name: str) -> None:
    scene = Scene(is_published=True)
    client = scene.client(name)
    for address in scene.addresses_of_pictures():
        assert client.get(address).status_code == 404, address
    for address in scene.addresses_of(scene.failed):
        assert client.get(address).status_code == 404, address
    for address in (*scene.addresses_of(scene.scored), *scene.addresses_of_the_phase()):
        text = text_of(client, address)
        assert text, address
        assert not [secret for secret in (*SECRETS, "per_pair") if secret in text], address
        assert "/references/" not in text, address
        assert "/outputs/" not in text, address


@pytest.mark.parametrize("name", OUTSIDERS)
def test_outsiders_know_nothing_of_a_draft(name: str) -> None:
    scene = Scene(is_published=False)
    client = scene.client(name)
    for address in (
        *scene.addresses_of_pictures(),
        *scene.addresses_of(scene.scored),
        *scene.addresses_of(scene.failed),
        *scene.addresses_of_the_phase(),
    ):
        assert client.get(address).status_code == 404, address
    for address in (reverse("home"), reverse("api-competitions")):
        assert scene.phase.competition.slug not in text_of(client, address)


@pytest.mark.parametrize("name", OUTSIDERS)
def test_outsiders_cancel_nothing(name: str) -> None:
    scene = Scene(is_published=True)
    waiting = make_submission(phase=scene.phase, team=scene.scored.team, status=Status.QUEUED)
    client = scene.client(name)
    for route in ("submission-cancel", "api-submission-cancel"):
        assert client.post(reverse(route, args=[waiting.pk])).status_code in {302, 401, 403, 404}
    waiting.refresh_from_db()
    assert waiting.status == Status.QUEUED


def test_a_team_sees_its_own_but_no_hidden_pair() -> None:
    scene = Scene(is_published=True)
    client = scene.client("owner")
    for address in scene.addresses_of_pictures():
        assert client.get(address).status_code == 404, address
    assert "secret words of the generator" in text_of(client, scene.failed.get_absolute_url())


def test_an_organizer_sees_everything_of_the_competition() -> None:
    scene = Scene(is_published=False)
    client = scene.client("organizer")
    everything: list[Callable[[], list[str]]] = [
        scene.addresses_of_pictures,
        scene.addresses_of_the_phase,
        lambda: scene.addresses_of(scene.scored),
    ]
    for addresses in everything:
        for address in addresses():
            assert client.get(address).status_code in {200, 286}, address
