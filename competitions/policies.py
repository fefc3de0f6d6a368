"""Who may do what. Every permission question is answered here, and nowhere else."""

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from competitions.errors import Forbidden
from competitions.models import (
    Competition,
    ImageRole,
    Participant,
    Phase,
    ReferenceImage,
    Team,
)
from competitions.people import User, Viewer

# Whoever is staff and in this group finds the organizers' pages; a migration makes the group.
ORGANIZERS = "Organizers"


def may_organize(user: Viewer) -> bool:
    """Say whether ``user`` may open the organizers' pages and make competitions."""
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return False
    return user.is_superuser or user.groups.filter(name=ORGANIZERS).exists()


def is_organizer(user: Viewer, competition: Competition) -> bool:
    if not user.is_authenticated:
        return False
    return user.is_superuser or competition.organizers.filter(pk=user.pk).exists()


def may_see_outputs(user: Viewer, phase: Phase) -> bool:
    """Pictures and per-image values would give hidden pairs away."""
    return phase.pairs_public or is_organizer(user, phase.competition)


def team_of(user: User, competition: Competition) -> Team | None:
    entered = Participant.objects.filter(user=user, competition=competition)
    found = entered.select_related("team").first()
    return found.team if found else None


def require_open_to_entries(user: Viewer, competition: Competition, *, at: datetime) -> None:
    """Make sure that people may still enter ``competition`` or change their team in it.

    Raises:
        Forbidden: it is not published, its last phase is over, or its teams stay as they are.
    """
    if not Competition.objects.visible_to(user).filter(pk=competition.pk).exists():
        detail = _("This competition is not published yet. Come back when it is.")
        raise Forbidden("competition_not_published", detail)
    ends = list(Phase.objects.filter(competition=competition).values_list("closes_at", flat=True))
    if ends and all(end is not None and end <= at for end in ends):
        detail = _("This competition is over. Its board and its data stay here to be looked at.")
        raise Forbidden("competition_over", detail)
    require_teams_open(competition, at=at)


def require_teams_open(competition: Competition, *, at: datetime) -> None:
    """Make sure that the composition of teams may still change.

    Raises:
        Forbidden: the date from which teams stay as they are has passed.
    """
    if not competition.are_teams_open_at(at):
        detail = _(
            "The teams of this competition stay as they are: nobody joins or leaves any more."
        )
        raise Forbidden("teams_frozen", detail, teams_freeze_at=competition.teams_freeze_at)


def require_member(user: User, team: Team) -> None:
    """Make sure that ``user`` acts for a team of their own.

    Raises:
        Forbidden: ``user`` is not in it, or it is a baseline, which nobody joins or changes.
    """
    if team.is_baseline or not Participant.objects.filter(user=user, team=team).exists():
        raise Forbidden("not_your_team", _("Only members change their team."))


def require_can_submit(user: User, *, phase: Phase, at: datetime) -> Team:
    """Return the team that ``user`` submits for.

    Raises:
        Forbidden: ``user`` has not joined the competition, or the phase is closed.
    """
    team = team_of(user, phase.competition)
    if team is None:
        raise Forbidden("not_a_participant", _("Join the competition before you submit to it."))
    if not phase.is_open_at(at):
        if at < phase.opens_at:
            detail = _("This phase is not open yet. See when it opens and submit then.")
        else:
            detail = _("This phase is closed. Look for another open phase of the competition.")
        raise Forbidden("phase_closed", detail, opens_at=phase.opens_at, closes_at=phase.closes_at)
    return team


def may_see_reference_image(user: Viewer, image: ReferenceImage) -> bool:
    """Contents and styles of public pairs are for everyone, all else is for organizers.

    A set is its competition's from the start, before any phase uses it.
    """
    used_by = Phase.objects.visible_to(user).filter(reference_set=image.reference_set_id)
    if image.role != ImageRole.REAL and used_by.filter(pairs_public=True).exists():
        return True
    if not user.is_authenticated:
        return False
    if user.is_superuser or used_by.filter(competition__organizers=user).exists():
        return True
    owner = image.reference_set.competition
    return owner is not None and is_organizer(user, owner)
