"""What happens to competitions: joining, freezing references, the leaderboard's projection."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.errors import Conflict
from competitions.models import (
    Competition,
    ImageRole,
    LeaderboardEntry,
    Participant,
    Phase,
    ReferenceSet,
    Team,
)
from competitions.people import User
from competitions.ranking import is_better, keep_finite, ranking_value


@transaction.atomic
def join(user: User, competition: Competition, *, team_name: str = "") -> Team:
    """Enter ``user`` as a team of one.

    Raises:
        Conflict: the user has joined already, or another team has the name.
    """
    if Participant.objects.filter(user=user, competition=competition).exists():
        raise Conflict("already_joined", _("You have joined this competition already."))
    name = team_name or user.username
    if Team.objects.filter(competition=competition, name=name).exists():
        raise Conflict("team_name_taken", _("Another team has this name: choose a different one."))
    team = Team.objects.create(competition=competition, name=name)
    Participant.objects.create(user=user, competition=competition, team=team)
    return team


def hash_reference_set(
    *,
    image_size: int,
    pixel_hashes: Mapping[str, list[str]],
    pairs: list[tuple[int, int]],
) -> str:
    """Name a reference set by its pixels: equal images in equal places give equal hashes."""
    described = {"image_size": image_size, "images": pixel_hashes, "pairs": pairs}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


@transaction.atomic
def freeze_reference_set(reference_set: ReferenceSet) -> None:
    """Fix the set for ever and give it its hash. Freezing twice changes nothing."""
    row = ReferenceSet.objects.select_for_update().get(pk=reference_set.pk)
    if row.frozen_at is None:
        images = list(row.images.order_by("role", "position"))
        contents = [image.pk for image in images if image.role == ImageRole.CONTENT]
        styles = [image.pk for image in images if image.role == ImageRole.STYLE]
        row.sha256 = hash_reference_set(
            image_size=row.image_size,
            pixel_hashes={
                role: [image.pixels_sha256 for image in images if image.role == role]
                for role in ImageRole.values
            },
            pairs=[
                (contents.index(pair.content_id), styles.index(pair.style_id))
                for pair in row.pairs.order_by("position")
            ],
        )
        row.frozen_at = now()
        row.save(update_fields=["sha256", "frozen_at"])
    reference_set.refresh_from_db()


@transaction.atomic
def publish_entry(
    *,
    phase: Phase,
    team: Team,
    submission_id: UUID,
    scores: Mapping[str, Any],
    submitted_at: datetime,
) -> bool:
    """Put a scored submission on the board if it is the team's best; return whether it is.

    The phase row is locked, so that of two scores at once the better one stays.
    """
    phase = Phase.objects.select_for_update().get(pk=phase.pk)
    value, reason = ranking_value(scores, phase.ranking_metric)
    held = LeaderboardEntry.objects.filter(phase=phase, team=team).first()
    if held is not None and held.submission_id != submission_id:
        if value is None:
            return False
        if held.ranking_value is not None and not is_better(
            value, held.ranking_value, direction=phase.ranking_direction
        ):
            return False
    LeaderboardEntry.objects.update_or_create(
        phase=phase,
        team=team,
        defaults={
            "submission_id": submission_id,
            "scores": keep_finite(scores),
            "ranking_value": value,
            "unranked_reason": reason,
            "submitted_at": submitted_at,
        },
    )
    return True
