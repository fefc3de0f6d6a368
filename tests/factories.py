"""Make valid rows with one call; a test names only what it is about."""

import hashlib
import io
import json
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from django.core.files.base import ContentFile
from django.db.models.functions import Now
from django.utils.timezone import now
from PIL import Image

from arena.accounts.models import User
from competitions import services as competition_services
from competitions.models import (
    Competition,
    ImageRole,
    LeaderboardEntry,
    Pair,
    Participant,
    Phase,
    Preparation,
    ReferenceImage,
    ReferenceSet,
    ScoringRecipe,
    Team,
)
from evaluation.models import EvaluationRun, ImageScore, Outcome, Output, Score, Stage
from styletransfer.images import decode_png, encode_thumbnail, pixels_sha256
from styletransfer.surrogates import BY_ROLE
from styletransfer.values import ExtractorPin
from submissions.models import Submission
from submissions.states import EXPLAINED, Status

_serial = count(1)
_DAY = timedelta(days=1)

MANIFEST: Mapping[str, Any] = {
    "format": "onnx",
    "architecture": None,
    "parameters": {},
    "inputs": [{"role": "content", "name": "content"}],
    "input_range": "0..1",
    "output_range": "0..1",
    "channel_order": "RGB",
    "size": {"multiple_of": 1},
}


def make_user(**fields: Any) -> User:
    name = fields.pop("username", None) or f"user-{next(_serial)}"
    password = fields.pop("password", None)
    user = User(**({"username": name, "email": f"{name}@example.org"} | fields))
    if password:
        user.set_password(password)
    user.save()
    return user


def make_png(seed: int, size: int = 32) -> bytes:
    colour = hashlib.sha256(str(seed).encode()).digest()
    buffer = io.BytesIO()
    image = Image.new("RGB", (size, size), tuple(colour[:3]))
    image.paste(tuple(colour[3:6]), (0, 0, size // 2, size // 3))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def make_reference_set(
    *, pairs: int = 2, size: int = 32, reals: int = 3, is_frozen: bool = True
) -> ReferenceSet:
    """Make a set of small pictures: ``pairs`` contents, all with one style."""
    made = ReferenceSet.objects.create(name=f"references-{next(_serial)}", image_size=size)
    images: dict[str, list[ReferenceImage]] = {}
    for role, amount in ((ImageRole.CONTENT, pairs), (ImageRole.STYLE, 1), (ImageRole.REAL, reals)):
        for position in range(amount):
            png = make_png(next(_serial), size)
            row = ReferenceImage.objects.create(
                reference_set=made,
                role=role,
                position=position,
                name=f"{role}-{position}",
                file=ContentFile(png, name="reference.png"),
                pixels_sha256=pixels_sha256(decode_png(png)),
            )
            images.setdefault(role, []).append(row)
    for position, content in enumerate(images[ImageRole.CONTENT]):
        style = images[ImageRole.STYLE][0]
        Pair.objects.create(reference_set=made, position=position, content=content, style=style)
    if is_frozen:
        competition_services.freeze_reference_set(made)
    return made


def make_recipe(**fields: Any) -> ScoringRecipe:
    defaults: dict[str, Any] = {
        "name": f"recipe-{next(_serial)}",
        "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
        "style_weights": [0.2] * 5,
        "alpha": 1.0,
        "beta": 1.0,
        "gamma": 0.0,
        "metrics": ["content", "style", "total", "fid_pytorch"],
    }
    recipe = ScoringRecipe(**(defaults | fields))
    recipe.sha256 = recipe.as_value().sha256()
    recipe.save()
    return recipe


def make_competition(**fields: Any) -> Competition:
    slug = f"competition-{next(_serial)}"
    defaults = {
        "slug": slug,
        "title": slug.capitalize(),
        "summary": "Paint photographs.",
        "description": "All about **it**.",
        "published_at": now() - _DAY,
    }
    return Competition.objects.create(**(defaults | fields))


def make_phase(**fields: Any) -> Phase:
    defaults: dict[str, Any] = {
        "name": f"Phase {next(_serial)}",
        "opens_at": now() - _DAY,
        "closes_at": now() + _DAY,
        "extractors": {role: ExtractorPin(name, "0" * 64) for role, name in BY_ROLE.items()},
        "pairs_public": True,
    }
    for name, make in (
        ("competition", make_competition),
        ("reference_set", make_reference_set),
        ("recipe", make_recipe),
    ):
        if name not in fields:
            fields[name] = make()
    return Phase.objects.create(**(defaults | fields))


def make_team(*members: User, phase: Phase, **fields: Any) -> Team:
    defaults = {"competition": phase.competition, "name": f"team-{next(_serial)}"}
    team = Team.objects.create(**(defaults | fields))
    for user in members:
        Participant.objects.create(user=user, competition=phase.competition, team=team)
    return team


def make_submission(**fields: Any) -> Submission:
    phase = fields.pop("phase", None) or make_phase()
    team = fields.pop("team", None) or make_team(make_user(), phase=phase)
    serial = next(_serial)
    status = fields.get("status", Status.CHECKING)
    defaults: dict[str, Any] = {
        "phase": phase,
        "team": team,
        "checkpoint": ContentFile(b"\x08\x07 not a real graph", name="checkpoint.bin"),
        "file_name": "generator.onnx",
        "size_bytes": 20,
        "sha256": hashlib.sha256(str(serial).encode()).hexdigest(),
        "manifest": dict(MANIFEST),
        "manifest_sha256": hashlib.sha256(json.dumps(MANIFEST).encode()).hexdigest(),
        "failure_code": "corrupt_file" if status in EXPLAINED else "",
        "queued_at": now() if status == Status.QUEUED else None,
        "lease_expires_at": now() + timedelta(minutes=1) if status == Status.RUNNING else None,
    }
    return Submission.objects.create(**(defaults | fields))


def silence(row: Submission | Preparation) -> None:
    """Let a row's lease run out, as that of a worker that is heard of no more."""
    rows = type(row).objects.filter(pk=row.pk, lease_expires_at__isnull=False)
    assert rows.update(lease_expires_at=Now() - timedelta(seconds=1)) == 1


def make_scored_submission(*, value: float = 1.0, **fields: Any) -> Submission:
    """Make a submission with scores, pictures and a place on the board, as a worker would."""
    submission = make_submission(
        **{"status": Status.SCORED, "attempt": 1, "scored_at": now()} | fields
    )
    run = EvaluationRun.objects.create(
        submission=submission,
        attempt=submission.attempt,
        stage=Stage.SCORE,
        outcome=Outcome.PASSED,
        worker="test",
        finished_at=now(),
        card={"scores": {}},
    )
    metrics = submission.phase.recipe.metrics
    for metric in metrics:
        Score.objects.create(run=run, metric=metric, value=value, low=value - 0.1, high=value + 0.1)
    for pair in submission.phase.reference_set.pairs.all():
        picture = ContentFile(make_png(pair.pk), name="output.png")
        thumbnail = ContentFile(encode_thumbnail(decode_png(make_png(pair.pk))), name="output.webp")
        Output.objects.create(run=run, pair=pair, file=picture, thumbnail=thumbnail)
        for metric in metrics:
            if metric != "fid_pytorch":
                ImageScore.objects.create(run=run, pair=pair, metric=metric, value=value)
    competition_services.publish_entry(
        phase=submission.phase,
        team=submission.team,
        submission_id=submission.pk,
        scores={
            metric: {"value": value, "low": value - 0.1, "high": value + 0.1} for metric in metrics
        },
        submitted_at=submission.created_at,
    )
    return submission


def make_entry(phase: Phase, value: float, **team: Any) -> LeaderboardEntry:
    """Put a new team on the board, without the pictures that make a whole submission slow."""
    made = make_team(phase=phase, **team)
    submission = make_submission(phase=phase, team=made, status=Status.SCORED)
    competition_services.publish_entry(
        phase=phase,
        team=made,
        submission_id=submission.pk,
        scores={
            metric: {"value": value, "low": None, "high": None} for metric in phase.recipe.metrics
        },
        submitted_at=submission.created_at,
    )
    return LeaderboardEntry.objects.get(phase=phase, team=made)
