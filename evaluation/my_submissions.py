"""The list of a person's submissions, over all competitions they take part in."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from competitions.metric_texts import MetricText, describe_metric
from competitions.models import LeaderboardEntry, Phase, Team
from competitions.people import User
from competitions.ranking import rank
from evaluation.models import EvaluationRun, Output, Score
from submissions.models import Submission, SubmissionQuerySet
from submissions.states import ACTIVE, Status
from submissions.waiting import QueuePlace, places_of

ROWS_PER_PAGE = 20
IN_PROGRESS = "active"
_MOVING = (*ACTIVE, Status.PLATFORM_FAULT)


@dataclass(frozen=True)
class Row:
    submission: Submission
    metric: MetricText
    value: float | None
    rank: int | None
    output: Output | None
    place: QueuePlace | None


class Filters(forms.Form):
    """What the list is narrowed to; a value that means nothing narrows nothing."""

    competition = forms.ChoiceField(label=gettext_lazy("Competition"), required=False)
    phase = forms.ChoiceField(label=gettext_lazy("Phase"), required=False)
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[
            ("", gettext_lazy("Any")),
            (IN_PROGRESS, gettext_lazy("In progress")),
            *Status.choices,
        ],
    )

    def __init__(self, *args: object, phases: Sequence[Phase]) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        competitions = {phase.competition.slug: phase.competition.title for phase in phases}
        choices = {
            "competition": competitions.items(),
            "phase": [(str(phase.pk), _name_of(phase, competitions)) for phase in phases],
        }
        for name, found in choices.items():
            field = cast(forms.ChoiceField, self.fields[name])
            field.choices = [("", _("Any")), *found]

    def narrow(self, rows: SubmissionQuerySet) -> SubmissionQuerySet:
        chosen = self.chosen
        if slug := chosen.get("competition"):
            rows = rows.filter(phase__competition__slug=slug)
        if phase := chosen.get("phase"):
            rows = rows.filter(phase=int(phase))
        if state := chosen.get("state"):
            rows = rows.filter(status__in=_MOVING if state == IN_PROGRESS else [state])
        return rows

    @property
    def chosen(self) -> dict[str, str]:
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


def _name_of(phase: Phase, competitions: dict[str, str]) -> str:
    if len(competitions) == 1:
        return phase.name
    return _("%(phase)s (%(competition)s)") % {
        "phase": phase.name,
        "competition": phase.competition.title,
    }


@never_cache
@login_required
@require_safe
def my_submissions(request: HttpRequest) -> HttpResponse:
    """List what the person's teams submitted; answer 204 to a page that shows that already."""
    user = cast(User, request.user)
    teams = Team.objects.filter(participants__user=user)
    entered = Phase.objects.filter(competition__teams__in=teams)
    phases = list(entered.select_related("competition").distinct())
    filters = Filters(request.GET, phases=phases)
    mine = Submission.objects.filter(team__in=teams)
    page = Paginator(filters.narrow(mine).for_listing(), ROWS_PER_PAGE).get_page(
        request.GET.get("page")
    )
    rows = _rows(list(page))
    version = _version(rows)
    is_refresh = bool(request.headers.get("HX-Request"))
    if is_refresh and request.GET.get("seen") == version:
        return HttpResponse(status=204)
    context = {
        "filters": filters,
        "page": page,
        "rows": rows,
        "query": urlencode(filters.chosen),
        "version": version,
        "is_moving": any(row.submission.status in _MOVING for row in rows),
        "has_any": bool(rows) or mine.exists(),
    }
    template = "_my_rows" if is_refresh else "my_submissions"
    return render(request, f"submissions/{template}.html", context)


def _rows(submissions: Sequence[Submission]) -> list[Row]:
    """Gather what the rows show; five queries, however many rows."""
    runs = EvaluationRun.objects.that_count().filter(submission__in=submissions)
    values = dict(
        Score.objects.filter(
            run__in=runs, metric=F("run__submission__phase__ranking_metric")
        ).values_list("run__submission", "value")
    )
    shown = Output.objects.filter(
        run__in=runs,
        pair__position=F("run__submission__phase__board_pair_position"),
        run__submission__phase__pairs_public=True,
    ).exclude(file="")
    outputs = {output.run.submission_id: output for output in shown.select_related("run", "pair")}
    ranks = _ranks({submission.phase for submission in submissions})
    places = places_of(submissions)
    return [
        Row(
            submission=submission,
            metric=describe_metric(submission.phase.ranking_metric),
            value=values.get(submission.pk),
            rank=ranks.get(submission.pk),
            output=outputs.get(submission.pk),
            place=places[submission.pk],
        )
        for submission in submissions
    ]


def _ranks(phases: set[Phase]) -> dict[UUID, int | None]:
    """Return the rank of every submission on the boards of these phases."""
    entries = LeaderboardEntry.objects.filter(phase__in=phases).order_by("submitted_at", "pk")
    boards: dict[int, list[tuple[UUID, float | None]]] = {phase.pk: [] for phase in phases}
    for phase_id, pk, value in entries.values_list("phase", "submission_id", "ranking_value"):
        boards[phase_id].append((pk, value))
    ranked: dict[UUID, int | None] = {}
    for phase in phases:
        ranked |= dict(rank(boards[phase.pk], direction=phase.ranking_direction))
    return ranked


def _version(rows: Sequence[Row]) -> str:
    """Name what a page shows: equal for equal content."""
    shown = [
        (
            row.submission.pk,
            row.submission.status,
            row.submission.step,
            row.submission.progress_done,
            row.submission.exclusion,
            row.rank,
            row.place and row.place.position,
        )
        for row in rows
    ]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
