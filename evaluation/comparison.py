"""How a submission's scores compare with the best its team had before it."""

from collections.abc import Mapping
from dataclasses import dataclass

from competitions.board_table import Column
from competitions.models.phase import Direction
from competitions.people import Viewer
from competitions.ranking import is_better
from competitions.templatetags.scores import MINUS, bound, score
from evaluation.models import EvaluationRun, Outcome, Score, Stage
from styletransfer.comparison import Difference, compare_cards
from styletransfer.errors import StyleTransferError
from styletransfer.score_card import ScoreCard
from submissions.models import Submission
from submissions.states import Status


@dataclass(frozen=True)
class Change:
    """A score beside that of the team's best submission before; ``is_better`` None: equal.

    Attributes:
        interval: ends of the 95 % interval of the difference, from resampling the pairs of both
            together; None where there are no values of pairs.
        is_shown: the interval leaves 0 out.
    """

    before: float
    difference: str
    is_better: bool | None
    interval: tuple[str, str] | None = None
    is_shown: bool = False


@dataclass(frozen=True)
class Best:
    submission: Submission
    values: Mapping[str, float]
    card: object = None

    def differences(self, run: EvaluationRun) -> Mapping[str, Difference]:
        """Compare the cards pair by pair; nothing where they can't be, as after a new recipe."""
        try:
            cards = ScoreCard.from_json(self.card), ScoreCard.from_json(run.card)
            return {each.key: each for each in compare_cards(*cards)}
        except StyleTransferError:
            return {}

    def change(
        self, column: Column, value: float, difference: Difference | None = None
    ) -> Change | None:
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
        interval = None
        if difference is not None and difference.low is not None:
            interval = _signed(difference.low, key), _signed(difference.high, key)
        is_shown = difference is not None and difference.better != "open"
        return Change(before, f"{sign}{written}", better, interval, is_shown)


def _signed(number: float | None, key: str) -> str:
    written = str(bound(number, key))
    return f"+{written}" if number is not None and number > 0 else written


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
    return Best(found.run.submission, dict(values), found.run.card)
