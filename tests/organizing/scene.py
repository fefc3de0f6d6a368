"""Two competitions of different organizers, each with a row of everything there is."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client
from django.utils.timezone import now

from arena.accounts.models import User
from competitions.models import (
    Announcement,
    Competition,
    ImageRole,
    Invitation,
    Phase,
    Preparation,
    ReferenceImage,
    ReferenceSet,
    ScoringRecipe,
    Team,
)
from competitions.policies import ORGANIZERS
from competitions.queues import private_queue
from evaluation.worker_token import WorkerToken
from submissions.models import Submission, TeamQuota
from tests.factories import (
    make_competition,
    make_phase,
    make_recipe,
    make_reference_set,
    make_scored_submission,
    make_team,
    make_user,
)


def make_organizer(*competitions: Competition, **fields: Any) -> User:
    """Make somebody who may open the admin and runs the given competitions."""
    user = make_user(is_staff=True, **fields)
    user.groups.add(Group.objects.get_or_create(name=ORGANIZERS)[0])
    for competition in competitions:
        competition.organizers.add(user)
    return user


@dataclass
class Scene:
    """A draft competition; ``word`` is in every name and text of it."""

    word: str
    organizer: User
    competition: Competition
    reference_set: ReferenceSet
    recipe: ScoringRecipe
    phase: Phase
    team: Team
    submission: Submission
    rows: list[Model]

    @property
    def client(self) -> Client:
        client = Client()
        client.force_login(self.organizer)
        return client

    def rows_of(self, model: type[Model]) -> list[Model]:
        found = [row for row in self.rows if isinstance(row, model)]
        assert found, f"add a row of {model.__name__} to the scene"
        return found


def make_scene(word: str) -> Scene:
    competition = make_competition(
        slug=f"{word}-slug", title=f"{word} title", summary=f"{word} summary", published_at=None
    )
    organizer = make_organizer(competition, username=f"{word}-organizer")
    references = make_reference_set(pairs=2)
    ReferenceSet.objects.filter(pk=references.pk).update(
        competition=competition, name=f"{word} references"
    )
    references.refresh_from_db()
    recipe = make_recipe(competition=competition, name=f"{word} recipe")
    phase = make_phase(
        competition=competition,
        name=f"{word} phase",
        reference_set=references,
        recipe=recipe,
        pairs_public=False,
    )
    member = make_user(username=f"{word}-member")
    team = make_team(member, phase=phase, name=f"{word} team")
    submission = make_scored_submission(phase=phase, team=team, file_name=f"{word}.onnx")
    scene = Scene(
        word, organizer, competition, references, recipe, phase, team, submission, rows=[]
    )
    scene.rows = [competition, references, recipe, phase, team, submission, *_others(scene)]
    for row in scene.rows:
        _log(row, by=organizer, word=word)
    return scene


def _others(scene: Scene) -> list[Model]:
    word = scene.word
    thawed = make_reference_set(pairs=1, is_frozen=False)
    thawed.competition, thawed.name = scene.competition, f"{word} thawed"
    thawed.save()
    image = ReferenceImage.objects.filter(reference_set=thawed, role=ImageRole.CONTENT)
    image.update(name=f"{word} image")
    quota = TeamQuota.objects.get_or_create(phase=scene.phase, team=scene.team)[0]
    run = scene.submission.runs.get()
    type(run).objects.filter(pk=run.pk).update(worker=f"{word}-worker", log=f"{word} log")
    return [
        thawed,
        make_recipe(competition=scene.competition, name=f"{word} unused recipe"),
        make_phase(
            competition=scene.competition,
            name=f"{word} second phase",
            reference_set=thawed,
            recipe=make_recipe(competition=scene.competition, name=f"{word} second recipe"),
        ),
        *ReferenceImage.objects.filter(reference_set=thawed),
        *thawed.pairs.all(),
        Announcement.objects.create(
            competition=scene.competition,
            title=f"{word} announcement",
            body=f"{word} body",
            author=scene.organizer,
        ),
        Preparation.objects.create(
            kind="images",
            reference_set=thawed,
            file_name=f"{word}.zip",
            role=ImageRole.CONTENT,
            credit=f"{word} credit",
            requested_by=scene.organizer,
        ),
        *scene.team.participants.all(),
        Invitation.objects.create(
            team=scene.team,
            key_sha256=word.ljust(64, "0"),
            email=f"{word}@example.org",
            created_by=scene.organizer,
            expires_at=now() + timedelta(days=1),
        ),
        quota,
        WorkerToken.objects.create(
            name=f"{word} machine",
            queue=private_queue(scene.competition.pk),
            competition=scene.competition,
            key_sha256=word.ljust(64, "1"),
            created_by=scene.organizer,
        ),
        *scene.submission.runs.all(),
        *apps.get_model("evaluation", "Score").objects.filter(run=run),
        *apps.get_model("evaluation", "Output").objects.filter(run=run),
        *scene.phase.leaderboard.all(),
    ]


def _log(row: Model, *, by: User, word: str) -> None:
    LogEntry.objects.create(
        user=by,
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=f"{word} {row.pk}",
        action_flag=CHANGE,
        change_message=f"{word} was here",
    )
