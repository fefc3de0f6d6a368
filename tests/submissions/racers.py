"""Races about submissions. Run as ``python -m tests.submissions.racers``; see ``tests.races``."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.races import RACERS, Race, main

TEAMS = 40


# --- Submitting ---------------------------------------------------------------------------------
def one_slot() -> dict[str, Any]:
    return enter_phase(quota_per_day=2, quota_concurrent=9, taken=1)


def one_slot_at_once() -> dict[str, Any]:
    return enter_phase(quota_per_day=9, quota_concurrent=1)


def many_slots() -> dict[str, Any]:
    return enter_phase(quota_per_day=9, quota_concurrent=9)


def enter_phase(*, taken: int = 0, **quotas: int) -> dict[str, Any]:
    from submissions.models import TeamQuota
    from submissions.states import Status
    from tests.factories import make_phase, make_submission, make_team, make_user

    phase, user = make_phase(**quotas), make_user()
    team = make_team(user, phase=phase)
    # There already: making it would keep the others waiting, whether or not it is locked later.
    TeamQuota.objects.create(phase=phase, team=team)
    for _ in range(taken):
        make_submission(phase=phase, team=team, status=Status.SCORED)
    return {"user": user.pk, "phase": phase.pk, "taken": taken, "files": len(stored_files())}


def submit_another(number: int, task: Any) -> str:
    return submit(b"\x08\x08\x3a\x05graph" + bytes([0x40, number]), task)


def submit_the_same(number: int, task: Any) -> str:
    return submit(b"\x08\x08\x3a\x05graph", task)


def submit(content: bytes, task: Any) -> str:
    from arena.accounts.models import User
    from competitions.models import Phase
    from submissions import services
    from tests.uploads import MANIFEST_JSON, make_upload

    services.submit(
        by=User.objects.get(pk=task["user"]),
        phase=Phase.objects.get(pk=task["phase"]),
        checkpoint=make_upload(content),
        manifest=MANIFEST_JSON,
    )
    return "entered"


def count_submissions(task: Any) -> dict[str, Any]:
    from submissions.models import Submission

    rows = Submission.objects.filter(phase=task["phase"]).count()
    return {"rows": rows - task["taken"], "files": len(stored_files()) - task["files"]}


def stored_files() -> list[Path]:
    from django.conf import settings

    return list(Path(settings.MEDIA_ROOT).glob("checkpoints/**/*.bin"))


# --- Publishing ---------------------------------------------------------------------------------
def teams() -> dict[str, Any]:
    from tests.factories import make_phase, make_team

    phase = make_phase()
    return {"phase": phase.pk, "teams": [make_team(phase=phase).pk for _ in range(TEAMS)]}


def publish(number: int, task: Any) -> str:
    from uuid import uuid4

    from django.utils.timezone import now

    from competitions.models import Phase, Team
    from competitions.services import publish_entry

    for turn, team in enumerate(task["teams"]):
        publish_entry(
            phase=Phase.objects.get(pk=task["phase"]),
            team=Team.objects.get(pk=team),
            submission_id=uuid4(),
            scores={"total": {"value": (number + turn) % RACERS}},
            submitted_at=now(),
        )
    return "published"


def look_at_board(task: Any) -> dict[str, Any]:
    from competitions.models import LeaderboardEntry

    return {"board": list(LeaderboardEntry.objects.values_list("ranking_value", flat=True))}


# --- Disqualifying ------------------------------------------------------------------------------
def rows_that_end() -> dict[str, Any]:
    from submissions.states import Status
    from tests.factories import make_phase, make_submission, make_team, make_user

    phase, organizer = make_phase(), make_user()
    phase.competition.organizers.add(organizer)
    team = make_team(phase=phase)
    rows = [make_submission(phase=phase, team=team, status=Status.QUEUED) for _ in range(TEAMS)]
    return {"team": team.pk, "user": organizer.pk, "rows": sorted(str(row.pk) for row in rows)}


def disqualify_or_end(number: int, task: Any) -> str:
    from arena.accounts.models import User
    from competitions.models import Team
    from evaluation import organizing, services
    from evaluation.models import Stage
    from styletransfer.score_card import ScoreCard
    from styletransfer.values import Estimate
    from submissions.models import Submission

    if number == 0:
        organizing.disqualify_team(
            Team.objects.get(pk=task["team"]), by=User.objects.get(pk=task["user"]), reason="spam"
        )
        return "disqualified"
    card = ScoreCard(scores={"total": Estimate(1.0)}, per_pair={})
    for pk in reversed(task["rows"][number::RACERS]):
        run = services.begin(Submission.objects.get(pk=pk), Stage.SCORE, worker=str(number))
        assert run is not None
        services.record_scores(run, card, pairs=[], pictures=[])
    return "scored"


def look_at_excluded(task: Any) -> dict[str, Any]:
    from competitions.models import LeaderboardEntry
    from submissions.models import Submission

    rows = Submission.objects.filter(pk__in=task["rows"])
    return {
        "excluded": rows.filter(exclusion="disqualified").count(),
        "on_board": LeaderboardEntry.objects.filter(team=task["team"]).count(),
    }


# --- Claiming and cancelling --------------------------------------------------------------------
def a_queued_row() -> dict[str, Any]:
    from submissions.states import Status
    from tests.factories import make_submission

    row = make_submission(status=Status.QUEUED)
    participant = row.team.participants.get()
    return {"row": str(row.pk), "user": participant.user_id}


def claim(number: int, task: Any) -> str:
    from django.utils.timezone import now

    from submissions.models import Submission
    from submissions.states import Status

    row = Submission.objects.get(pk=task["row"])
    got_it = row.claim(Status.RUNNING, lease_expires_at=now() + timedelta(minutes=1))
    return "claimed" if got_it else "too late"


def claim_or_cancel(number: int, task: Any) -> str:
    from arena.accounts.models import User
    from submissions import services
    from submissions.models import Submission

    if number % 2:
        return claim(number, task)
    row = Submission.objects.get(pk=task["row"])
    services.cancel(row, by=User.objects.get(pk=task["user"]))
    return "cancelled"


def look_at_row(task: Any) -> dict[str, Any]:
    from submissions.models import Submission

    row = Submission.objects.get(pk=task["row"])
    return {"status": row.status, "attempt": row.attempt}


RACES: dict[str, Race] = {
    "last_slot": (one_slot, submit_another, count_submissions),
    "last_place_at_once": (one_slot_at_once, submit_another, count_submissions),
    "same_file": (many_slots, submit_the_same, count_submissions),
    "board": (teams, publish, look_at_board),
    "disqualify_or_end": (rows_that_end, disqualify_or_end, look_at_excluded),
    "claim": (a_queued_row, claim, look_at_row),
    "claim_or_cancel": (a_queued_row, claim_or_cancel, look_at_row),
}

if __name__ == "__main__":
    main(RACES)
