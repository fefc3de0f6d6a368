"""What happens to competitions: joining, freezing references, the leaderboard's projection."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions import teams
from competitions.errors import Conflict
from competitions.kept_pages import forget_pages
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
from competitions.policies import require_open_to_entries
from competitions.ranking import is_better, keep_finite, ranking_value
from styletransfer.values import hash_references


@transaction.atomic
def join(
    user: User, competition: Competition, *, team_name: str = "", accepted_terms: str = ""
) -> Team:
    """Enter ``user`` as a team of one, named after them unless ``team_name`` says otherwise.

    ``accepted_terms`` is the hash of the wording they accepted, as ``teams.hash_terms`` gives it.

    Raises:
        Forbidden: the competition takes no more entries.
        Conflict: the user has joined already, or another team has the name.
        Invalid: the terms have to be accepted, or the name can't be one.
    """
    require_open_to_entries(user, competition, at=now())
    if Participant.objects.filter(user=user, competition=competition).exists():
        raise already_joined()
    acceptance = teams.record_acceptance(competition, accepted_terms)
    name = teams.require_free_name(competition, team_name or user.get_username())
    try:
        with transaction.atomic():
            team = Team.objects.create(competition=competition, name=name)
    except IntegrityError as error:  # somebody else was faster
        raise teams.name_taken() from error
    try:
        with transaction.atomic():
            Participant.objects.create(user=user, competition=competition, team=team, **acceptance)
    except IntegrityError as error:
        raise already_joined() from error
    return team


def already_joined() -> Conflict:
    return Conflict("already_joined", _("You have joined this competition already."))


@transaction.atomic
def freeze_reference_set(reference_set: ReferenceSet) -> None:
    """Fix the set for ever and give it its hash. Freezing twice changes nothing."""
    row = ReferenceSet.objects.select_for_update().get(pk=reference_set.pk)
    if row.frozen_at is None:
        images = list(row.images.order_by("role", "position"))
        contents = [image.pk for image in images if image.role == ImageRole.CONTENT]
        styles = [image.pk for image in images if image.role == ImageRole.STYLE]
        row.sha256 = hash_references(
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
    forget_pages(phase.pk)
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
