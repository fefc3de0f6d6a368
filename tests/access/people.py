"""A competition with hidden pairs, what is secret about it, and everybody who may ask for it."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe
from typing import Any

from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.db.models import Model
from django.test import Client
from django.utils.timezone import now

from arena.accounts.models import ApiToken, User
from competitions.models import (
    Announcement,
    Banner,
    Competition,
    Invitation,
    Participant,
    Phase,
    Preparation,
    ReferenceImage,
    ReferenceSet,
    Team,
)
from evaluation.models import EvaluationRun, FirstPicture, Outcome, Output, Stage
from submissions.models import TeamQuota, Upload, UploadStatus
from submissions.states import Status
from tests.factories import (
    make_competition,
    make_phase,
    make_png,
    make_recipe,
    make_reference_set,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

CHECKPOINT = b"\x08\x07 the weights nobody else may have"
PICTURE = make_png(987_654)
LOG = "words the generator said in the sandbox"
DRAFT = "an announcement that is not out yet"
SECRETS: dict[str, bytes] = {
    "checkpoint": CHECKPOINT,
    "output": PICTURE,
    "log": LOG.encode(),
    "draft announcement": DRAFT.encode(),
}

ROLES = (
    "nobody",
    "stranger",
    "rival",
    "teammate",
    "other organizer",
    "organizer",
    "staff",
    "administrator",
)
OUTSIDERS = ("nobody", "stranger", "rival", "other organizer", "staff")


@dataclass(frozen=True)
class Scene:
    """Rows by the name that the table gives them; people by their role."""

    people: dict[str, User | None]
    rows: dict[str, Model]
    key: str
    """Of an open invitation to the owning team."""

    def client(self, role: str) -> Client:
        client = Client()
        if (user := self.people[role]) is not None:
            client.force_login(user)
        return client

    @property
    def competition(self) -> Competition:
        found = self.rows["competition"]
        assert isinstance(found, Competition)
        return found

    @property
    def phase(self) -> Phase:
        found = self.rows["phase"]
        assert isinstance(found, Phase)
        return found


def make_scene(**competition: Any) -> Scene:
    """Make it all; ``competition`` says what differs, such as ``published_at``."""
    people = make_people()
    made = make_competition(**competition)
    made.organizers.add(people["organizer"])
    elsewhere = make_competition()
    elsewhere.organizers.add(people["other organizer"])
    references = make_reference_set()
    ReferenceSet.objects.filter(pk=references.pk).update(competition=made)
    recipe = make_recipe(competition=made)
    phase = make_phase(
        competition=made, reference_set=references, recipe=recipe, pairs_public=False
    )
    team = make_team(people["owner"], people["teammate"], phase=phase)
    make_team(people["rival"], phase=phase)
    submissions = make_submissions(phase, team)
    key = token_urlsafe(32)
    invitation = Invitation.objects.create(
        team=team,
        key_sha256=hashlib.sha256(key.encode()).hexdigest(),
        created_by=people["owner"],
        expires_at=now() + timedelta(days=1),
    )
    rows: dict[str, Model] = {
        "competition": made,
        "phase": phase,
        "references": references,
        "image": ReferenceImage.objects.filter(reference_set=references).earliest("pk"),
        "recipe": recipe,
        "team": team,
        "participant": Participant.objects.get(user=people["owner"]),
        "invitation": invitation,
        "announcement": Announcement.objects.create(competition=made, title=DRAFT, body=DRAFT),
        "preparation": make_preparation(references),
        "banner": make_banner(made),
        "upload": make_upload(phase, people["owner"]),
        "quota": TeamQuota.objects.get_or_create(phase=phase, team=team)[0],
        "token": ApiToken.issue(people["owner"], name="laptop")[0],
        "run": EvaluationRun.objects.filter(submission_id=submissions["failed"].pk).earliest("pk"),
        **submissions,
    }
    people.pop("owner")
    return Scene(dict(people), rows, key)


def make_people() -> dict[str, Any]:
    people: dict[str, Any] = {name: make_user() for name in ROLES if name != "nobody"}
    people |= {"nobody": None, "owner": make_user()}
    organizers, _ = Group.objects.get_or_create(name="Organizers")
    for name in ("organizer", "other organizer", "staff", "administrator"):
        user = people[name]
        user.is_staff, user.is_superuser = True, name == "administrator"
        user.save()
        if "organizer" in name:
            user.groups.add(organizers)
    return people


def make_submissions(phase: Phase, team: Team) -> dict[str, Model]:
    def checkpoint() -> ContentFile[bytes]:
        return ContentFile(CHECKPOINT, name="checkpoint.bin")

    scored = make_scored_submission(phase=phase, team=team, checkpoint=checkpoint())
    for output in Output.objects.filter(run__submission=scored):
        output.file.save("secret.png", ContentFile(PICTURE))
        output.thumbnail.save("secret.webp", ContentFile(PICTURE))
    failed = make_submission(phase=phase, team=team, status=Status.FAILED, checkpoint=checkpoint())
    waiting = make_submission(phase=phase, team=team, status=Status.QUEUED, checkpoint=checkpoint())
    for submission in (scored, failed):
        EvaluationRun.objects.create(
            submission=submission,
            attempt=9,
            stage=Stage.SCORE,
            outcome=Outcome.REFUSED,
            worker="worker",
            finished_at=now(),
            log=LOG,
        )
    checked = EvaluationRun.objects.create(
        submission=waiting,
        attempt=1,
        stage=Stage.CHECK,
        outcome=Outcome.PASSED,
        worker="worker",
        finished_at=now(),
    )
    FirstPicture.objects.create(
        run=checked,
        content=ContentFile(PICTURE, name="content.png"),
        picture=ContentFile(PICTURE, name="picture.png"),
    )
    return {"scored": scored, "failed": failed, "waiting": waiting}


def make_upload(phase: Phase, owner: User) -> Upload:
    return Upload.objects.create(
        owner=owner,
        phase=phase,
        file_name="checkpoint.bin",
        length=len(CHECKPOINT),
        offset=len(CHECKPOINT),
        status=UploadStatus.COMPLETE,
        sha256=hashlib.sha256(CHECKPOINT).hexdigest(),
        checkpoint=ContentFile(CHECKPOINT, name="checkpoint.bin"),
        expires_at=now() + timedelta(days=1),
    )


def make_preparation(references: ReferenceSet) -> Preparation:
    return Preparation.objects.create(
        kind="images",
        role="content",
        reference_set=references,
        upload=ContentFile(PICTURE, name="upload.png"),
        file_name="upload.png",
    )


def make_banner(competition: Competition) -> Banner:
    file = ContentFile(b"a field", name="banner.webp")
    return Banner.objects.create(competition=competition, file=file, width=800, height=200)


__all__ = ["OUTSIDERS", "ROLES", "SECRETS", "Scene", "make_scene"]
