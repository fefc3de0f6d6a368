"""The board of a phase: as a page, as the part of it that refreshes itself, as a file."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from competitions import board_csv as board_file
from competitions import policies
from competitions.board import board_rows
from competitions.board_chart import board_chart
from competitions.board_table import ROWS_PER_PAGE, board_table
from competitions.kept_pages import keep_page
from competitions.models import Pair, Phase

TOP_ROWS = 10
LONGEST_SEARCH = 80


@never_cache
@require_safe
@keep_page
def board(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Show the whole board; to a page that asks for news, only the part that changes.

    ``seen`` is the version such a page shows: if that is still the newest, the answer is 204.
    """
    phase = _visible(request, phase_id)
    context = board_context(request, phase, is_whole="top" not in request.GET)
    response: HttpResponse
    if request.GET.get("seen") == context["board"].version:
        response = HttpResponse(status=204)
    elif _lacks_parts(request, context):
        response = HttpResponseClientRefresh()
    elif request.headers.get("HX-Request"):
        response = render(request, "competitions/_board_news.html", context)
    else:
        context["phases"] = phase.competition.phases.all()
        response = render(request, "competitions/board.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _lacks_parts(request: HttpRequest, context: dict[str, Any]) -> bool:
    """Say whether a page asks that has no place for what there is now: it is loaded again."""
    bare = request.GET.get("bare")
    return bare == "board" or (bare == "chart" and context["chart"] is not None)


@never_cache
@require_safe
def board_csv(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Hand the whole board out as a file."""
    phase = _visible(request, phase_id)
    response = HttpResponse(board_file.board_csv(phase), content_type="text/csv; charset=utf-8")
    name = f"board-{phase.competition.slug}-{phase.pk}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def board_context(request: HttpRequest, phase: Phase, *, is_whole: bool) -> dict[str, Any]:
    """Return what the templates of a board need: all of it, or the first rows for another page.

    As many queries for any number of rows.
    """
    user = request.user
    own = policies.team_of(user, phase.competition) if user.is_authenticated else None
    rows = board_rows(phase)
    table = board_table(
        phase,
        rows,
        page=request.GET.get("page") if is_whole else None,
        search=request.GET.get("q", "")[:LONGEST_SEARCH].strip() if is_whole else "",
        own=own,
        per_page=ROWS_PER_PAGE if is_whole else TOP_ROWS,
    )
    pair = _shown_pair(request, phase)
    return {
        "phase": phase,
        "board": table,
        "board_is_whole": is_whole,
        "board_team": own,
        "board_pair": pair,
        "board_pictures": _pictures(table.rows, pair) if pair else {},
        "chart": board_chart(rows, table.columns, own=own) if is_whole else None,
    }


def _visible(request: HttpRequest, phase_id: int) -> Phase:
    phases = Phase.objects.visible_to(request.user)
    loaded = phases.select_related("recipe", "competition", "reference_set")
    return get_object_or_404(loaded, pk=phase_id)


def _shown_pair(request: HttpRequest, phase: Phase) -> Pair | None:
    """Return the pair whose outputs the rows show, if the viewer may see any."""
    if not policies.may_see_outputs(request.user, phase):
        return None
    pairs = Pair.objects.filter(reference_set=phase.reference_set_id)
    return (
        pairs.select_related("content", "style").filter(position=phase.board_pair_position).first()
    )


def _pictures(rows: Any, pair: Pair) -> dict[Any, str]:
    return {
        row.entry.submission_id: reverse(
            "output-thumbnail", args=[row.entry.submission_id, pair.position]
        )
        for row in rows
    }
