"""Races about teams. Run as ``python -m tests.taking_part.racers``; see ``tests.races``."""

from typing import Any

from tests.races import RACERS, Race, main

ROUNDS = 5  # by chance, one round alone may pass


def one_place_left() -> Any:
    """Make teams with room for one more, each with an invitation for every racer."""
    rounds = []
    for _ in range(ROUNDS):
        team, owner = make_team_with_room()
        rounds.append(
            {
                "team": team.pk,
                "invitations": [invite(team, owner) for _ in range(RACERS)],
                "users": [make_person() for _ in range(RACERS)],
            }
        )
    return rounds


def one_invitation() -> Any:
    """Make teams with room for many, each with one invitation that all try to use."""
    rounds = []
    for _ in range(ROUNDS):
        team, owner = make_team_with_room(max_team_size=9)
        rounds.append(
            {
                "team": team.pk,
                "invitations": [invite(team, owner)] * RACERS,
                "users": [make_person() for _ in range(RACERS)],
            }
        )
    return rounds


def one_person() -> Any:
    """Invite the same person to a team of every racer's."""
    from tests.factories import make_competition, make_phase

    rounds = []
    for _ in range(ROUNDS):
        phase = make_phase(competition=make_competition())
        invitations = [invite(*make_team_with_room(phase=phase)) for _ in range(RACERS)]
        rounds.append({"invitations": invitations, "users": [make_person()] * RACERS})
    return rounds


def one_person_in_two_teams() -> Any:
    """Let two who are in a team of their own move to each other's at once."""
    from tests.factories import make_competition, make_phase

    rounds = []
    for _ in range(ROUNDS):
        phase = make_phase(competition=make_competition(max_team_size=9))
        made = [make_team_with_room(phase=phase) for _ in range(RACERS)]
        invitations = [invite(*made[(number + 1) % RACERS]) for number in range(RACERS)]
        rounds.append(
            {
                "competition": phase.competition_id,
                "invitations": invitations,
                "users": [owner.pk for _, owner in made],
            }
        )
    return rounds


def make_team_with_room(*, phase: Any = None, max_team_size: int = 2) -> Any:
    from tests.factories import make_competition, make_phase, make_team, make_user

    if phase is None:
        phase = make_phase(competition=make_competition(max_team_size=max_team_size))
    owner = make_user()
    return make_team(owner, phase=phase), owner


def make_person() -> int:
    from tests.factories import make_user

    pk: int = make_user().pk
    return pk


def invite(team: Any, owner: Any) -> int:
    from competitions import teams

    pk: int = teams.invite(team, by=owner)[0].pk
    return pk


def accept_all(number: int, task: Any) -> str:
    """Accept this racer's invitation of every round; return what each came to."""
    from arena.accounts.models import User
    from competitions import teams
    from competitions.errors import DomainError
    from competitions.models import Invitation

    came_to = []
    for each in task:
        found = Invitation.objects.select_related("team__competition")
        try:
            invitation = found.get(pk=each["invitations"][number])
            teams.accept(invitation, by=User.objects.get(pk=each["users"][number]))
            came_to.append("joined")
        except Invitation.DoesNotExist:  # removed with the team before we looked
            came_to.append("team_gone")
        except DomainError as error:
            came_to.append(error.code)
    return " ".join(came_to)


def join_with_one_name(number: int, task: Any) -> str:
    from arena.accounts.models import User
    from competitions import services
    from competitions.models import Competition

    user = User.objects.get(pk=task["users"][number])
    services.join(user, Competition.objects.get(pk=task["competition"]), team_name="The same")
    return "joined"


def one_name() -> Any:
    from tests.factories import make_phase

    return {
        "competition": make_phase().competition_id,
        "users": [make_person() for _ in range(RACERS)],
    }


def join_twice() -> Any:
    return one_name() | {"users": [make_person()] * RACERS}


def join_by_own_names(number: int, task: Any) -> str:
    from arena.accounts.models import User
    from competitions import services
    from competitions.models import Competition

    user = User.objects.get(pk=task["users"][number])
    competition = Competition.objects.get(pk=task["competition"])
    services.join(user, competition, team_name=f"Team {number}")
    return "joined"


def count_entered(task: Any) -> dict[str, Any]:
    from competitions.models import Participant, Team

    entered = {"competition": task["competition"]}
    return {
        "participants": Participant.objects.filter(**entered).count(),
        "teams": Team.objects.filter(**entered).count(),
    }


def look_at_sizes(task: Any) -> dict[str, Any]:
    from competitions.models import Participant

    return {"sizes": [Participant.objects.filter(team=each["team"]).count() for each in task]}


def look_at_people(task: Any) -> dict[str, Any]:
    from competitions.models import Participant

    return {"teams": [Participant.objects.filter(user=each["users"][0]).count() for each in task]}


def look_at_moves(task: Any) -> dict[str, Any]:
    from competitions.models import Participant, Team

    return {
        "participants": [
            Participant.objects.filter(competition=each["competition"]).count() for each in task
        ],
        "empty": Team.objects.filter(
            competition__in=[each["competition"] for each in task], participants=None
        ).count(),
    }


RACES: dict[str, Race] = {
    "last_place": (one_place_left, accept_all, look_at_sizes),
    "one_invitation": (one_invitation, accept_all, look_at_sizes),
    "one_person": (one_person, accept_all, look_at_people),
    "round_dance": (one_person_in_two_teams, accept_all, look_at_moves),
    "one_name": (one_name, join_with_one_name, count_entered),
    "join_twice": (join_twice, join_by_own_names, count_entered),
}

if __name__ == "__main__":
    main(RACES)
