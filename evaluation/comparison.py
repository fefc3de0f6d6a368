"""How a submission's scores compare with the best its team had before it."""

from collections.abc import Mapping
from dataclasses import dataclass

from competitions.board_table import Column
from competitions.models.phase import Direction
from competitions.people import Viewer
from competitions.ranking import is_better
from competitions.templatetags.scores import MINUS, score
from evaluation.models import EvaluationRun, Outcome, Score, Stage
from submissions.models import Submission
from submissions.states import Status


@dataclass(frozen=True)
class Change:
    """A score beside that of the team's best submission before; ``is_better`` None: equal."""

    before: float
    difference: str
    is_better: bool | None


@dataclass(frozen=True)
class Best:
    submission: Submission
    values: Mapping[str, float]

    def change(self, column: Column, value: float) -> Change | None:
        """Compare one metric; None where the earlier one does not have it."""
        key = column.metric.key
        before = self.values.get(key)
        if before is None:
            return None
        written = str(score(abs(value - before), key))
        if value == before:
            return Change(before, written, None)
        sign = "+" if value > before else MINUS
        better = is_better(value, before, direction=column.direction)
        return Change(before, f"{sign}{written}", better)


def best_before(submission: Submission, *, user: Viewer) -> Best | None:
    """Return the team's best submission to the phase before this one, if there was any.

    Best by the metric that ranks; what ``user`` may not see, and what an organizer took off the
    board, is left out.
    """
    phase = submission.phase
    earlier = Submission.objects.visible_to(user).filter(
        phase=phase,
        team=submission.team,
        status=Status.SCORED,
        exclusion="",
        created_at__lt=submission.created_at,
    )
    runs = EvaluationRun.objects.filter(
        stage=Stage.SCORE, outcome=Outcome.PASSED, submission__in=earlier.order_by().values("pk")
    )
    order = "value" if phase.ranking_direction == Direction.LOWER else "-value"
    ranking = Score.objects.filter(run__in=runs, metric=phase.ranking_metric)
    found = ranking.select_related("run__submission").order_by(order, "run_id").first()
    if found is None:
        return None
    values = Score.objects.filter(run=found.run).values_list("metric", "value")
    return Best(found.run.submission, dict(values))
