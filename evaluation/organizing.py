"""What organizers do about submissions, each act with its reason in the history."""

from collections.abc import Iterable

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions import teams
from competitions.errors import Conflict, Forbidden, Invalid
from competitions.models import Participant, Phase, Team
from competitions.people import User
from competitions.policies import is_organizer
from evaluation.board import rebuild_entry
from submissions import dispatch, quota
from submissions.models import Exclusion, Submission, TeamQuota
from submissions.services import cancel
from submissions.states import Status

REASON_LENGTH = 300
MOST_EXTRA = 100


def restart(submission: Submission, *, by: User, reason: str) -> None:
    """Have an ended submission done again; the board keeps its place until that has ended.

    Raises:
        Forbidden: ``by`` does not organize the competition.
        Invalid: there is no reason.
        Conflict: it has not ended, or the team has sent the same file again meanwhile.
    """
    reason = _require(submission, by, reason)
    try:
        with transaction.atomic():
            if not submission.restart():
                raise Conflict(
                    "not_restartable",
                    _("This submission is being worked on, or was cancelled: nothing to restart."),
                    status=submission.status,
                )
            _log(submission, by, gettext("Started again: %(reason)s") % {"reason": reason})
            pk, status = submission.pk, Status(submission.status)
            transaction.on_commit(lambda: dispatch.send(pk, status), robust=True)
    except IntegrityError as error:
        raise Conflict(
            "sent_again",
            _("The team has submitted this file again since: that one counts instead."),
        ) from error


@transaction.atomic
def exclude(submission: Submission, kind: Exclusion, *, by: User, reason: str) -> None:
    """Take a submission off the board; the team reads why, and its next best takes the place.

    Raises:
        Forbidden: ``by`` does not organize the competition.
        Invalid: there is no reason.
    """
    reason = _require(submission, by, reason)
    Submission.objects.filter(pk=submission.pk).update(
        exclusion=kind, exclusion_reason=reason, excluded_at=now(), excluded_by=by
    )
    submission.refresh_from_db()
    rebuild_entry(submission.phase, submission.team)
    done = {
        Exclusion.HIDDEN: gettext("Hidden: %(reason)s"),
        Exclusion.DISQUALIFIED: gettext("Disqualified: %(reason)s"),
    }
    _log(submission, by, done[kind] % {"reason": reason})


@transaction.atomic
def reinstate(submission: Submission, *, by: User, reason: str) -> None:
    """Let an excluded submission count again.

    Raises:
        Forbidden: ``by`` does not organize the competition.
        Invalid: there is no reason.
        Conflict: it was not excluded.
    """
    reason = _require(submission, by, reason)
    excluded = Submission.objects.filter(pk=submission.pk).exclude(exclusion="")
    changed = excluded.update(exclusion="", exclusion_reason="", excluded_at=None, excluded_by=None)
    if not changed:
        raise Conflict("not_excluded", _("This submission is neither hidden nor disqualified."))
    submission.refresh_from_db()
    rebuild_entry(submission.phase, submission.team)
    _log(submission, by, gettext("Reinstated: %(reason)s") % {"reason": reason})


@transaction.atomic
def stop(submission: Submission, *, by: User, reason: str) -> None:
    """Cancel a submission on the organizers' behalf.

    Raises:
        Forbidden: ``by`` does not organize the competition.
        Invalid: there is no reason.
        Conflict: it has ended.
    """
    reason = _require(submission, by, reason)
    cancel(submission, by=by)
    _log(submission, by, gettext("Cancelled: %(reason)s") % {"reason": reason})


@transaction.atomic
def disqualify_team(team: Team, *, by: User, reason: str) -> int:
    """Disqualify all that a team has submitted; return how many submissions that were."""
    reason = _require_organizer(team, by, reason)
    # All rows before any phase's: a worker that ends one locks its row first, then the phase's.
    submissions = list(
        Submission.objects.filter(team=team)
        .exclude(exclusion=Exclusion.DISQUALIFIED)
        .select_related("phase__competition", "team")
        .select_for_update(of=("self",))
        .order_by("phase_id", "pk")
    )
    for submission in submissions:
        exclude(submission, Exclusion.DISQUALIFIED, by=by, reason=reason)
    _log(team, by, gettext("All submissions disqualified: %(reason)s") % {"reason": reason})
    return len(submissions)


@transaction.atomic
def remove_member(member: Participant, *, by: User, reason: str) -> None:
    """Take somebody out of a team and its competition; what was submitted stays the team's.

    Raises:
        Forbidden: ``by`` does not organize the competition.
        Invalid: there is no reason.
    """
    reason = _require_organizer(member.team, by, reason)
    # The member's row first, as whoever leaves or accepts an invitation locks them.
    list(Participant.objects.select_for_update().filter(pk=member.pk))
    teams.lock([member.team_id])
    said = {"user": member.user.get_username(), "reason": reason}
    _log(member.team, by, gettext("Removed %(user)s: %(reason)s") % said)
    member.delete()


@transaction.atomic
def grant_extra(team: Team, phase: Phase, more: int, *, by: User, reason: str) -> TeamQuota:
    """Let a team submit more often to a phase than its limits allow.

    Raises:
        Forbidden: ``by`` does not organize the competition.
        Invalid: there is no reason, the number is none, or the phase is of another competition.
    """
    reason = _require_organizer(team, by, reason)
    if phase.competition_id != team.competition_id:
        raise Invalid("another_competition", _("Choose a phase of the team's competition."))
    if not 1 <= more <= MOST_EXTRA:
        raise Invalid(
            "bad_number", _("Grant from 1 to %(most)d submissions.") % {"most": MOST_EXTRA}
        )
    quota.grant(phase, team, more)
    said = {"count": more, "phase": phase.name, "reason": reason}
    _log(team, by, gettext("%(count)d extra submissions to %(phase)s: %(reason)s") % said)
    return TeamQuota.objects.get(phase=phase, team=team)


def namesakes(submissions: Iterable[Submission]) -> dict[str, list[Submission]]:
    """Return, by hash, submissions of other teams of the competition with the very same file."""
    rows = list(submissions)
    found: dict[str, list[Submission]] = {}
    equal = Submission.objects.filter(
        sha256__in={row.sha256 for row in rows},
        phase__competition__in={row.phase.competition_id for row in rows},
    ).select_related("team", "phase")
    for row in equal.order_by("created_at"):
        found.setdefault(row.sha256, []).append(row)
    return found


def _require(submission: Submission, by: User, reason: str) -> str:
    return _require_organizer(submission.team, by, reason)


def _require_organizer(team: Team, by: User, reason: str) -> str:
    if not is_organizer(by, team.competition):
        raise Forbidden(
            "not_an_organizer", _("Only the organizers of the competition may do this.")
        )
    reason = reason.strip()[:REASON_LENGTH]
    if not reason:
        raise Invalid("reason_missing", _("Say why: the reason is kept in the history."))
    return reason


def _log(row: Submission | Team, by: User, message: str) -> None:
    LogEntry.objects.log_actions(by.pk, [row], CHANGE, message, single_object=True)
