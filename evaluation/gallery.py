"""What a submission's page shows of its scores and pictures."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from competitions.board import board_rows
from competitions.board_table import Column, columns_of
from competitions.models import Pair
from evaluation.models import EvaluationRun, ImageScore, Output, Score
from submissions.models import Submission


@dataclass(frozen=True)
class ScoreLine:
    column: Column
    score: Score


@dataclass(frozen=True)
class Tile:
    """A pair with the picture made of it and the values it was given."""

    pair: Pair
    output_id: int
    values: Sequence[tuple[Column, float]]


@dataclass(frozen=True)
class Place:
    rank: int | None
    of: int
    is_on_board: bool
    """False where another submission of the team is the better one."""


def scoring_run(submission: Submission) -> EvaluationRun | None:
    """Return the run that the scores come from."""
    return submission.runs.that_count().first()


def score_lines(run: EvaluationRun) -> list[ScoreLine]:
    """Return the scores in the order of the board's columns."""
    scores = {score.metric: score for score in Score.objects.filter(run=run)}
    columns = columns_of(run.submission.phase)
    return [
        ScoreLine(column, scores[column.metric.key])
        for column in columns
        if column.metric.key in scores
    ]


def tiles(run: EvaluationRun) -> list[Tile]:
    """Return every pair that has an output, in their order; two queries."""
    values: dict[int, dict[str, float]] = defaultdict(dict)
    image_scores = ImageScore.objects.filter(run=run).values_list("pair_id", "metric", "value")
    for pair_id, metric, value in image_scores:
        values[pair_id][metric] = value
    columns = columns_of(run.submission.phase)
    outputs = Output.objects.filter(run=run).select_related("pair").order_by("pair__position")
    return [
        Tile(
            pair=output.pair,
            output_id=output.pk,
            values=[
                (column, values[output.pair_id][column.metric.key])
                for column in columns
                if column.metric.key in values[output.pair_id]
            ],
        )
        for output in outputs
    ]


def place_on_board(submission: Submission) -> Place:
    rows = board_rows(submission.phase)
    for row in rows:
        if row.entry.submission_id == submission.pk:
            return Place(row.rank, len(rows), is_on_board=True)
    return Place(None, len(rows), is_on_board=False)
