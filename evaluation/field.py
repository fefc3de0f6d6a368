"""Compare how sensitive a run's scores are with the other teams of its phase.

Compared when somebody looks, not when scores are recorded: the first submissions of a phase have
nobody to be compared with, and the field changes with every run that counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from evaluation.models import EvaluationRun
from styletransfer.proportion import Ratios, find_excess
from submissions.models import Submission

LEAST_TEAMS = 3

# Declared baselines copy on purpose; whatever else is odd about them is told as of anybody's.
COPIES = frozenset({"copies_content", "copies_style"})

Flag = Mapping[str, Any]


@dataclass(frozen=True)
class Noticed:
    """What a run's card holds of oddities, without the rest of the card."""

    submission_id: UUID
    phase_id: int
    team_id: int
    is_baseline: bool
    flags: list[Flag]
    pairs: list[int]
    ratios: Ratios


class Field:
    """The teams of a phase, each with one voice: the median of its runs that count."""

    def __init__(self, rows: Iterable[Noticed]) -> None:
        found: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for row in rows:
            for disturbance, metrics in row.ratios.items():
                for metric, times in metrics.items():
                    found[disturbance, metric][row.team_id].append(times)
        self._voices = {
            key: {team: median(runs) for team, runs in teams.items()}
            for key, teams in found.items()
        }

    def usual_for(self, team_id: int) -> Ratios:
        """Return the median of the other teams, of what at least three of them have."""
        usual: dict[str, dict[str, float]] = defaultdict(dict)
        for (disturbance, metric), voices in self._voices.items():
            others = [times for team, times in voices.items() if team != team_id]
            if len(others) >= LEAST_TEAMS:
                usual[disturbance][metric] = median(others)
        return usual


def read_noticed(runs: QuerySet[EvaluationRun]) -> list[Noticed]:
    """Read what was noticed of some runs, in one query and without the whole cards."""
    rows = runs.filter(card__isnull=False).values_list(
        "submission_id",
        "submission__phase_id",
        "submission__team_id",
        "submission__team__is_baseline",
        "card__flags",
        "card__guards__sensitivity__pairs",
        "card__guards__sensitivity__ratios",
    )
    return [
        Noticed(submission, phase, team, is_baseline, flags or [], pairs or [], ratios or {})
        for submission, phase, team, is_baseline, flags, pairs, ratios in rows
    ]


def field_of(phase_id: int) -> Field:
    """Read the field of a phase: runs that count, of submissions that were not excluded."""
    runs = EvaluationRun.objects.that_count().filter(
        submission__phase=phase_id, submission__exclusion=""
    )
    return Field(read_noticed(runs))


def flags_of(row: Noticed, field: Field) -> list[Flag]:
    """Return what organizers are told about a run: its card's flags, seen beside the field."""
    exempt = COPIES if row.is_baseline else frozenset()
    kept = [flag for flag in row.flags if flag["code"] not in exempt | {"sensitive"}]
    excess = find_excess(row.ratios, field.usual_for(row.team_id))
    return kept + [{"code": "sensitive", "pairs": row.pairs} | asdict(each) for each in excess]


def flagged(submissions: QuerySet[Submission]) -> set[UUID]:
    """Return which of some submissions organizers are told something about; two queries."""
    asked = submissions.order_by().values("pk")
    counted = EvaluationRun.objects.that_count()
    rows = read_noticed(counted.filter(submission__in=asked))
    phases = {row.phase_id for row in rows}
    others: dict[int, list[Noticed]] = defaultdict(list)
    in_the_field = counted.filter(submission__phase__in=phases, submission__exclusion="")
    for row in read_noticed(in_the_field):
        others[row.phase_id].append(row)
    fields = {phase: Field(others[phase]) for phase in phases}
    return {row.submission_id for row in rows if flags_of(row, fields[row.phase_id])}
