"""What a submission's page shows of its scores and pictures."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import F, OuterRef, QuerySet, Subquery

from competitions.board import board_rows
from competitions.board_table import Column, columns_of
from competitions.models import Pair
from evaluation.comparison import Best, Change
from evaluation.models import EvaluationRun, ImageScore, Output, Score
from styletransfer.picture_files import THUMBNAIL_SIDE
from submissions.models import Submission

PAIRS_PER_PAGE = 60


@dataclass(frozen=True)
class ScoreLine:
    column: Column
    score: Score
    change: Change | None


@dataclass(frozen=True)
class Tile:
    """A pair with the picture made of it and the values it was given."""

    pair: Pair
    output_id: int
    is_removed: bool
    """Its picture was kept for its time and is gone; its values stay."""
    values: Sequence[tuple[Column, float]]

    @property
    def number(self) -> int:
        return self.pair.position + 1


@dataclass(frozen=True)
class SortLink:
    """A way to order the pictures; following the present one turns it round."""

    column: Column | None  # None: by pair
    query: str
    is_current: bool
    is_descending: bool


@dataclass(frozen=True)
class Gallery:
    tiles: Sequence[Tile]
    page: Page[Output]
    sort_links: Sequence[SortLink]
    query: str
    """The order as it stands in addresses, for links to other pages."""
    side: int
    thumbnail_side: int

    @property
    def has_removed(self) -> bool:
        return any(tile.is_removed for tile in self.tiles)


@dataclass(frozen=True)
class Place:
    rank: int | None
    of: int
    is_on_board: bool
    """False where another submission of the team is the better one."""


def scoring_run(submission: Submission) -> EvaluationRun | None:
    """Return the run that the scores come from."""
    return submission.runs.that_count().first()


def score_lines(run: EvaluationRun, best: Best | None = None) -> list[ScoreLine]:
    """Return the scores in the order of the board's columns."""
    scores = {score.metric: score for score in Score.objects.filter(run=run)}
    differences = best.differences(run) if best else {}
    lines = []
    for column in columns_of(run.submission.phase):
        score = scores.get(column.metric.key)
        if score is not None:
            change = None
            if best:
                change = best.change(column, score.value, differences.get(column.metric.key))
            lines.append(ScoreLine(column, score, change))
    return lines


def gallery_of(run: EvaluationRun, asked: Mapping[str, str]) -> Gallery:
    """Return one page of the pictures in the order asked for; five queries, however many pairs.

    ``asked`` may hold ``sort`` (a metric's key), ``order`` (``desc``) and ``page``.
    """
    phase = run.submission.phase
    measured = set(ImageScore.objects.filter(run=run).values_list("metric", flat=True).distinct())
    columns = [column for column in columns_of(phase) if column.metric.key in measured]
    sort = asked.get("sort", "")
    if sort not in measured:
        sort = ""
    is_descending = asked.get("order") == "desc"
    page = Paginator(_ordered(run, sort, is_descending), PAIRS_PER_PAGE).get_page(asked.get("page"))
    side = phase.reference_set.image_size
    return Gallery(
        tiles=_tiles(run, page, columns),
        page=page,
        sort_links=[_link(column, sort, is_descending) for column in (None, *columns)],
        query=_query(sort, is_descending),
        side=side,
        thumbnail_side=min(side, THUMBNAIL_SIDE),
    )


def _ordered(run: EvaluationRun, sort: str, is_descending: bool) -> QuerySet[Output]:
    outputs = Output.objects.filter(run=run).select_related("pair__content", "pair__style")
    if not sort:
        return outputs.order_by("-pair__position" if is_descending else "pair__position")
    values = ImageScore.objects.filter(run=run, pair=OuterRef("pair"), metric=sort).values("value")
    value = F("sorted_by")
    by = value.desc(nulls_last=True) if is_descending else value.asc(nulls_last=True)
    return outputs.annotate(sorted_by=Subquery(values[:1])).order_by(by, "pair__position")


def _link(column: Column | None, sort: str, is_descending: bool) -> SortLink:
    key = column.metric.key if column else ""
    is_current = key == sort
    # The first click shows the best on top, or the first pair.
    turned = not is_descending if is_current else bool(column and column.direction == "higher")
    return SortLink(column, _query(key, turned), is_current, is_descending)


def _query(sort: str, is_descending: bool) -> str:
    return urlencode({"sort": sort or "pair", "order": "desc" if is_descending else "asc"})


def _tiles(run: EvaluationRun, page: Page[Output], columns: Sequence[Column]) -> list[Tile]:
    values: dict[int, dict[str, float]] = defaultdict(dict)
    pairs = [output.pair_id for output in page]
    image_scores = ImageScore.objects.filter(run=run, pair__in=pairs)
    for pair_id, metric, value in image_scores.values_list("pair_id", "metric", "value"):
        values[pair_id][metric] = value
    return [
        Tile(
            pair=output.pair,
            output_id=output.pk,
            is_removed=not output.file,
            values=[
                (column, values[output.pair_id][column.metric.key])
                for column in columns
                if column.metric.key in values[output.pair_id]
            ],
        )
        for output in page
    ]


def place_on_board(submission: Submission) -> Place:
    rows = board_rows(submission.phase)
    for row in rows:
        if row.entry.submission_id == submission.pk:
            return Place(row.rank, len(rows), is_on_board=True)
    return Place(None, len(rows), is_on_board=False)
