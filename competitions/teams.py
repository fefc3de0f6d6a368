"""Teams: who is in one, by which invitation, and what a team is called.

A team's submissions share one quota and one place on the board. So nobody leaves a team that has
submitted: with a fresh team they would have a fresh quota.
"""

import hashlib
import secrets
import unicodedata
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.errors import Conflict, Invalid
from competitions.models import Competition, Invitation, Participant, Team
from competitions.people import User
from competitions.policies import require_member, require_open_to_entries, require_teams_open

VALID_FOR = timedelta(days=7)
OPEN_INVITATIONS, INVITATIONS_A_DAY = 10, 20
DAY = timedelta(hours=24)
NAME_CHARACTERS = 80


# --- Terms --------------------------------------------------------------------------------------
def hash_terms(competition: Competition) -> str:
    """Name the present wording of the terms; empty where there are none."""
    terms = competition.terms
    return hashlib.sha256(terms.encode()).hexdigest() if terms.strip() else ""


def record_acceptance(competition: Competition, accepted_terms: str) -> dict[str, Any]:
    """Return what a new participant's row says about the terms.

    Raises:
        Invalid: they were not accepted, or have been reworded since they were read.
    """
    asked = hash_terms(competition)
    if not asked:
        return {}
    if not accepted_terms:
        raise Invalid("terms_not_accepted", _("Accept the terms to take part."))
    if accepted_terms != asked:
        raise Invalid(
            "terms_changed",
            _("The terms were changed while you read them. Read them again, then accept."),
        )
    return {"terms_sha256": asked, "terms_accepted_at": now()}


# --- Names --------------------------------------------------------------------------------------
def require_free_name(competition: Competition, name: str, *, besides: Team | None = None) -> str:
    """Return ``name`` as it is kept: one line, no control characters, no needless spaces.

    Raises:
        Invalid: nothing is left of it.
        Conflict: another team has it, in whatever case.
    """
    text = " ".join(unicodedata.normalize("NFC", name).split())
    # Cc control, Cf format (invisible, turns text around), Cs lone surrogates: nobody sees these.
    kept = "".join(char for char in text if unicodedata.category(char) not in {"Cc", "Cf", "Cs"})
    kept = kept[:NAME_CHARACTERS].strip()
    if not kept:
        raise Invalid("team_name_empty", _("Give the team a name."))
    others = Team.objects.filter(competition=competition, name__iexact=kept)
    if besides is not None:
        others = others.exclude(pk=besides.pk)
    if others.exists():
        raise name_taken()
    return kept


def name_taken() -> Conflict:
    return Conflict("team_name_taken", _("Another team has this name: choose a different one."))


@transaction.atomic
def rename(team: Team, *, by: User, name: str) -> None:
    """Give a team another name.

    Raises:
        Forbidden: ``by`` is no member, or teams stay as they are.
        Invalid, Conflict: the name can't be used.
    """
    require_member(by, team)
    require_teams_open(team.competition, at=now())
    kept = require_free_name(team.competition, name, besides=team)
    try:
        with transaction.atomic():
            Team.objects.filter(pk=team.pk).update(name=kept)
    except IntegrityError as error:
        raise name_taken() from error
    team.name = kept


# --- Invitations --------------------------------------------------------------------------------
def hash_key(key: str) -> str:
    # The key has 256 random bits: a fast hash is enough, there is nothing to guess.
    return hashlib.sha256(key.encode()).hexdigest()


@transaction.atomic
def invite(team: Team, *, by: User, email: str = "") -> tuple[Invitation, str]:
    """Make an invitation for one person; return it with its key, which can't be had again.

    Raises:
        Forbidden: ``by`` is no member, or the competition takes no more entries.
        Conflict: the team is full, or has invited as often as it may.
    """
    require_member(by, team)
    moment = now()
    require_open_to_entries(by, team.competition, at=moment)
    lock([team.pk])
    require_room(team)
    made = Invitation.objects.filter(team=team)
    if made.open_at(moment).count() >= OPEN_INVITATIONS:
        detail = _("The team has %(limit)d open invitations. Revoke one to make another.")
        raise Conflict("too_many_invitations", detail % {"limit": OPEN_INVITATIONS})
    # Each may send a mail to a stranger: revoking gives no more of them.
    if made.filter(created_at__gt=moment - DAY).count() >= INVITATIONS_A_DAY:
        detail = _("The team has invited %(limit)d times in 24 hours. Go on tomorrow.")
        raise Conflict("too_many_invitations", detail % {"limit": INVITATIONS_A_DAY})
    key = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        team=team,
        key_sha256=hash_key(key),
        email=email,
        created_by=by,
        expires_at=moment + VALID_FOR,
    )
    return invitation, key


@transaction.atomic
def revoke(team: Team, pk: int, *, by: User) -> None:
    """Take an open invitation back; one that is not open stays as it is.

    Raises:
        Forbidden: ``by`` is no member.
    """
    require_member(by, team)
    moment = now()
    Invitation.objects.open_at(moment).filter(team=team, pk=pk).update(revoked_at=moment)


def require_usable(invitation: Invitation) -> None:
    """Make sure that an invitation can still be accepted.

    Raises:
        Conflict: it was used, revoked, or is too old.
    """
    if invitation.accepted_at is not None:
        detail = _("This invitation has been used. Ask the team for another one.")
        raise Conflict("invitation_used", detail)
    if invitation.revoked_at is not None:
        detail = _("The team has taken this invitation back.")
        raise Conflict("invitation_revoked", detail)
    if invitation.expires_at <= now():
        detail = _("This invitation is too old. Ask the team for another one.")
        raise Conflict("invitation_expired", detail)


@transaction.atomic
def accept(invitation: Invitation, *, by: User, accepted_terms: str = "") -> Team:
    """Make ``by`` a member of the team that invited; who was in another team leaves that one.

    Raises:
        Forbidden: the competition takes no more entries.
        Conflict: the invitation can't be used, the team is full, or ``by`` can't leave a team.
        Invalid: the terms have to be accepted.
    """
    competition = invitation.team.competition
    moment = now()
    present = Participant.objects.select_for_update().filter(user=by, competition=competition)
    participant = present.first()
    lock([invitation.team_id, *([participant.team_id] if participant else [])])
    require_can_accept(invitation, by=by)
    if participant is None:
        acceptance = record_acceptance(competition, accepted_terms)
        try:
            with transaction.atomic():
                Participant.objects.create(
                    user=by, competition=competition, team=invitation.team, **acceptance
                )
        except IntegrityError as error:
            detail = _("You have just joined in another window. Look at the page again.")
            raise Conflict("already_joined", detail) from error
    else:
        left = participant.team
        participant.team = invitation.team
        participant.save(update_fields=["team"])
        remove_if_empty(left)
    used = Invitation.objects.open_at(moment).filter(pk=invitation.pk)
    if used.update(accepted_at=moment, accepted_by=by) != 1:
        invitation.refresh_from_db()
        require_usable(invitation)
    return invitation.team


def require_can_accept(invitation: Invitation, *, by: User) -> None:
    """Make sure that nothing but the terms stands between ``by`` and the team.

    Raises:
        Forbidden, Conflict: as ``accept``.
    """
    team = invitation.team
    present = Invitation.objects.filter(pk=invitation.pk).first()
    if present is None:  # removed just now, with the last who left it
        raise Conflict("team_gone", _("This team does not exist any more."))
    require_usable(present)
    require_open_to_entries(by, team.competition, at=now())
    participant = (
        Participant.objects.select_related("team")
        .filter(user=by, competition=team.competition_id)
        .first()
    )
    if participant is not None and participant.team_id == team.pk:
        raise Conflict("already_in_team", _("You are in this team already."))
    if team.is_baseline:
        raise Conflict("team_is_baseline", _("Nobody joins a baseline."))
    require_room(team)
    if participant is not None:
        require_can_leave(participant.team)


def require_room(team: Team) -> None:
    """Make sure that one more member fits; who relies on it holds the ``lock``.

    Raises:
        Conflict: the team is full.
    """
    limit = team.competition.max_team_size
    if team.participants.count() >= limit:
        detail = _("The team is full: it has the %(limit)d members that are allowed.")
        raise Conflict("team_full", detail % {"limit": limit}, limit=limit)


# --- Leaving ------------------------------------------------------------------------------------
def require_can_leave(team: Team) -> None:
    """Make sure that members may go.

    Raises:
        Conflict: the team has submitted.
    """
    if team.is_baseline or team.submissions.exists():
        raise Conflict(
            "team_has_submissions",
            _(
                "Your team %(team)s has submitted. Submissions and quota belong to the team, "
                "so its members stay in it."
            )
            % {"team": team.name},
        )


@transaction.atomic
def leave(team: Team, *, by: User) -> None:
    """Take ``by`` out of the team and the competition; a team without members is removed.

    Raises:
        Forbidden: ``by`` is no member, or teams stay as they are.
        Conflict: the team has submitted.
    """
    participants = Participant.objects.select_for_update().filter(user=by, team=team)
    participant = participants.first()
    require_member(by, team)
    require_teams_open(team.competition, at=now())
    lock([team.pk])
    require_can_leave(team)
    if participant is not None:
        participant.delete()
    remove_if_empty(team)


def remove_if_empty(team: Team) -> None:
    if not team.participants.exists() and not team.submissions.exists():
        team.delete()


def lock(teams: list[int]) -> None:
    """Keep others from changing who is in these teams until the transaction ends.

    A submission that is being entered for one waits too: its row refers to the team's. SQLite has
    no row locks: there its IMMEDIATE transactions keep every other writer out.
    """
    # In one order everywhere: of two who lock the same teams none waits for the other for ever.
    list(Team.objects.select_for_update().filter(pk__in=teams).order_by("pk"))
