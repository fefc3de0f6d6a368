"""A site with something on each of its pages: for tests of all pages, and for their pictures."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.timezone import now

from arena.accounts.models import ApiToken, User
from competitions import mail_preferences, teams
from competitions.models import (
    Announcement,
    Banner,
    Competition,
    ImageRole,
    LeaderboardEntry,
    MailKind,
    Phase,
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceSet,
    Team,
)
from competitions.policies import ORGANIZERS
from competitions.preparations import request_banner
from competitions.queues import private_queue
from competitions.services import publish_entry
from evaluation.gateway import tokens
from evaluation.models import EvaluationRun, ImageScore, Output, Score, Worker
from evaluation.tasks import prepare
from styletransfer.images import encode_png
from submissions.models import Submission
from submissions.states import Status
from tests.factories import (
    make_competition,
    make_phase,
    make_recipe,
    make_reference_set,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

PASSWORD = "brush-and-canvas-7"
TERMS = """\
You keep all rights to your generator.

1. Use no picture of the hidden pairs for training.
2. One person is in **one** team.
"""
RULES = "- Twenty tries a day.\n- Teams of up to four.\n\nSee the [terms](https://example.org/)."
TEAMS = ("Ink & Salt", "Atelier Nord", "墨与像素", "A team whose name needs more than one line")
ENDED = {
    Status.REJECTED: ("wrong_keys", {"missing": ["conv1.weight"], "unexpected": ["layer.bias"]}),
    Status.FAILED: ("too_slow", {"limit_s": 300}),
    Status.PLATFORM_FAULT: ("platform_fault", {}),
}


@dataclass
class Scene:
    """What the pages are about; every page's address is made of these."""

    competition: Competition
    phase: Phase
    people: dict[str, User]
    team: Team
    hidden: Phase
    coming: Phase
    draft: Competition
    submissions: dict[str, Submission] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


def make_scene(phase: Phase | None = None) -> Scene:
    """Fill in a site around ``phase``, the demo's, or else around a small one of its own."""
    if phase is None:
        phase = _small_phase()
    competition = phase.competition
    Competition.objects.filter(pk=competition.pk).update(
        terms=TERMS, rules=RULES, data_description="Photographs, and one painting."
    )
    competition.refresh_from_db()
    people = _people()
    competition.organizers.add(people["organizer"])
    scene = Scene(
        competition=competition,
        phase=phase,
        people=people,
        team=make_team(people["member"], people["mate"], phase=phase, name="Brush & Canvas"),
        hidden=_hidden_phase(phase, people["organizer"]),
        coming=_coming_phase(people["organizer"]),
        draft=_draft(people["organizer"]),
    )
    _enter_submissions(scene)
    _make_small_things(scene)
    return scene


def _small_phase() -> Phase:
    phase = make_phase(
        name="One style",
        competition=make_competition(title="Photo to painting", slug="photo-to-painting"),
        reference_set=make_reference_set(pairs=3),
        quota_concurrent=5,
    )
    baseline = make_team(phase=phase, name="Trained generator", is_baseline=True)
    make_scored_submission(phase=phase, team=baseline, value=0.9)
    return phase


def _people() -> dict[str, User]:
    people = {
        name: make_user(username=username, password=PASSWORD)
        for name, username in (
            ("newcomer", "noor"),
            ("member", "mona"),
            ("mate", "matt"),
            ("organizer", "olga"),
        )
    }
    organizer = people["organizer"]
    organizer.groups.add(Group.objects.get_or_create(name=ORGANIZERS)[0])
    people["administrator"] = make_user(
        username="ada", password=PASSWORD, is_staff=True, is_superuser=True
    )
    User.objects.filter(pk=organizer.pk).update(is_staff=True)
    organizer.refresh_from_db()
    TOTP.activate(people["mate"], generate_totp_secret())
    RecoveryCodes.activate(people["mate"])
    return people


def _hidden_phase(phase: Phase, organizer: User) -> Phase:
    made = make_competition(title="Behind the curtain", summary="Nobody sees the pairs.")
    made.organizers.add(organizer)
    recipe, references = make_recipe(name="Hidden recipe"), make_reference_set(pairs=2)
    hidden = make_phase(
        name="Final", competition=made, recipe=recipe, reference_set=references, pairs_public=False
    )
    make_scored_submission(phase=hidden, team=make_team(phase=hidden, name="Silent"))
    return hidden


def _coming_phase(organizer: User) -> Phase:
    made = make_competition(title="Next spring", summary="Opens soon.")
    made.organizers.add(organizer)
    recipe, references = make_recipe(name="Spring recipe"), make_reference_set(pairs=1)
    moment = now()
    return make_phase(
        name="Warm-up",
        competition=made,
        recipe=recipe,
        reference_set=references,
        opens_at=moment + timedelta(days=3),
        closes_at=moment + timedelta(days=40),
    )


def _draft(organizer: User) -> Competition:
    draft = make_competition(title="Only a draft", slug="only-a-draft", published_at=None)
    draft.organizers.add(organizer)
    return draft


def _enter_submissions(scene: Scene) -> None:
    phase, team, member = scene.phase, scene.team, scene.people["member"]
    best = LeaderboardEntry.objects.filter(phase=phase, ranking_value__isnull=False)
    source = Submission.objects.get(pk=best.order_by("ranking_value")[0].submission_id)
    scene.submissions["scored"] = copy_scored(source, team, times=1.04)
    scene.submissions["worse"] = copy_scored(source, team, times=1.2)
    for number, name in enumerate(TEAMS):
        other = make_team(phase=phase, name=name)
        copy_scored(source, other, times=1.1 + number / 7)
    for status in (Status.CHECKING, Status.QUEUED, Status.RUNNING, Status.CANCELLED, *ENDED):
        code, facts = ENDED.get(status, ("", {}))
        made = make_submission(
            phase=phase,
            team=team,
            submitted_by=member,
            status=status,
            failure_code=code,
            failure_facts=facts,
            file_name=f"painter-{status}.onnx",
        )
        scene.submissions[status] = made
    Submission.objects.filter(pk=scene.submissions[Status.RUNNING].pk).update(
        step="generating", progress_done=9, progress_of=24, started_at=now()
    )


def copy_scored(source: Submission, team: Team, *, times: float) -> Submission:
    """Enter what ``source`` entered for another team, its scores ``times`` as high."""
    run = EvaluationRun.objects.that_count().get(submission=source)
    outputs, images = list(Output.objects.filter(run=run)), ImageScore.objects.filter(run=run)
    scores = list(Score.objects.filter(run=run))
    per_image = list(images)
    entry = LeaderboardEntry.objects.filter(submission_id=source.pk).first()
    made = Submission.objects.get(pk=source.pk)
    made.pk, made.team, made.sha256 = uuid.uuid4(), team, uuid.uuid4().hex * 2
    made.created_at = made.finished_at = now()
    made.save(force_insert=True)
    run.pk, run.submission = None, made
    run.save(force_insert=True)
    rows: list[Output | ImageScore | Score] = [*outputs, *per_image, *scores]
    for row in rows:
        row.pk, row.run = None, run
        if isinstance(row, Score | ImageScore):
            row.value *= times
        if isinstance(row, Score) and row.low is not None and row.high is not None:
            row.low, row.high = row.low * times, row.high * times
        row.save(force_insert=True)
    assert entry is not None, "copy a submission that is on the board"
    published = {
        key: {part: value if value is None else value * times for part, value in found.items()}
        for key, found in entry.scores.items()
    }
    publish_entry(
        phase=made.phase,
        team=team,
        submission_id=made.pk,
        scores=published,
        submitted_at=made.created_at,
    )
    return made


def _make_small_things(scene: Scene) -> None:
    member, organizer = scene.people["member"], scene.people["organizer"]
    _invitation, scene.keys["invitation"] = teams.invite(scene.team, by=member)
    path = mail_preferences.unsubscribe_path(MailKind.ANNOUNCEMENT, user=member, address="")
    scene.keys["unsubscribe"] = path
    ApiToken.issue(member, name="laptop")
    for title, published in (("A second painting", now()), ("Not out yet", None)):
        Announcement.objects.create(
            competition=scene.competition,
            title=title,
            body="From **Monday** on there is a second style.\n\n- the same quota\n- a new board",
            author=organizer,
            published_at=published,
        )
    _set_up_workers()
    _prepare_draft(scene)


def _set_up_workers() -> None:
    """Let one worker be there, and another one be kept from work by a hole in its sandbox."""
    tight = {"is_ok": True, "problem": "", "findings": [{"wall": "network", "stood": True}]}
    leaky = {
        "is_ok": False,
        "problem": "The sandbox is not tight: network.",
        "findings": [{"wall": "network", "stood": False}, {"wall": "fork", "stood": True}],
    }
    for name, check in (("evaluation@one", tight), ("evaluation@two", leaky)):
        Worker.objects.create(
            name=name,
            version="0.1.0",
            device="cpu",
            threads=1,
            queues=["evaluation"],
            sandbox_check=check,
            started_at=now(),
            seen_at=now(),
        )


def make_banner(competition: Competition) -> Banner:
    """Have a worker's own code make a banner: stripes, wider than they are shown."""
    stripes = np.tile(np.linspace(40, 220, 1600).astype(np.uint8)[None, :, None], (500, 1, 3))
    upload = SimpleUploadedFile("stripes.png", encode_png(stripes))
    by = competition.organizers.first() or make_user()
    prepare(str(request_banner(competition, upload=upload, alt="Stripes", by=by).pk))
    return Banner.objects.get(competition=competition)


def _prepare_draft(scene: Scene) -> None:
    """Give the draft what an organizer works on: pictures half imported, an unused recipe."""
    references = make_reference_set(pairs=2, is_frozen=False)
    ReferenceSet.objects.filter(pk=references.pk).update(competition=scene.draft)
    make_recipe(name="Draft recipe", competition=scene.draft)
    make_banner(scene.draft)
    by = make_user(is_superuser=True, is_staff=True)
    tokens.issue(name="a lab's machine", queue=private_queue(scene.draft.pk), by=by)
    for status, code in (
        (PreparationStatus.WAITING, ""),
        (PreparationStatus.DONE, ""),
        (PreparationStatus.REJECTED, "empty_zip"),
    ):
        Preparation.objects.create(
            kind=PreparationKind.IMAGES,
            reference_set=references,
            upload="uploads/photographs.zip",
            file_name="photographs.zip",
            role=ImageRole.CONTENT,
            status=status,
            problem_code=code,
            finished_at=now() if status != PreparationStatus.WAITING else None,
            requested_by=scene.people["organizer"],
        )
