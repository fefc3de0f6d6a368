"""Pages about one submission: its state while it is worked on, then scores and pictures."""

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseStopPolling

from competitions import policies
from competitions.errors import DomainError
from competitions.people import Viewer
from competitions.pictures import serve_png, serve_thumbnail
from competitions.policies import team_of
from competitions.templatetags.scores import NOTHING
from evaluation import gallery
from evaluation.check_page import check_of
from evaluation.comparison import best_before
from evaluation.models import EvaluationRun, FirstPicture, Output
from evaluation.queues import waits_in_vain
from evaluation.score_cards import readable_parts
from styletransfer.card_schema import read_schema
from submissions import services
from submissions.models import Submission
from submissions.stages import stages_of
from submissions.states import Status, sources_of
from submissions.waiting import place_of


@never_cache
@require_safe
def submission(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show a submission: what happens to it now, or what came of it."""
    found = _visible(request.user, uuid)
    context = _state_context(request.user, found) | _findings_context(request, found)
    return render(request, "evaluation/submission.html", context)


@never_cache
@require_safe
def submission_live(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Answer with the present state; at the end, for the last time, also with what was found.

    ``seen`` is the state that the page shows: a change is announced to screen readers.
    """
    found = _visible(request.user, uuid)
    context = _state_context(request.user, found)
    context["is_news"] = request.GET.get("seen") != found.status
    if not found.has_ended:
        return render(request, "evaluation/_live.html", context)
    context |= _findings_context(request, found)
    page = render(request, "evaluation/_live.html", context)
    return HttpResponseStopPolling(page.content)


@require_POST
@login_required
def submission_cancel(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Stop a submission of one's own team, or of a competition one organizes."""
    found = _visible(request.user, uuid)
    assert request.user.is_authenticated  # noqa: S101 - login_required, in words mypy reads
    try:
        services.cancel(found, by=request.user)
    except DomainError as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _("The submission was cancelled."))
    return redirect(found)


@require_safe
def output(request: HttpRequest, uuid: UUID, position: int) -> HttpResponseBase:
    """Serve the picture that a submission made of a pair, to those who may see pictures.

    Links carry ``?v=``, the row's number: with it an address never shows other pixels.
    """
    made = _visible_output(request, uuid, position)
    is_final = request.GET.get("v") == str(made.pk)
    return serve_png(request, made.file, version=f"output-{made.pk}", is_final=is_final)


@require_safe
def output_thumbnail(request: HttpRequest, uuid: UUID, position: int) -> HttpResponseBase:
    """Serve the small copy of such a picture, to the same people."""
    made = _visible_output(request, uuid, position)
    is_final = request.GET.get("v") == str(made.pk)
    version = f"output-{made.pk}"
    return serve_thumbnail(request, made.thumbnail, made.file, version=version, is_final=is_final)


@require_safe
def check_picture(request: HttpRequest, uuid: UUID, which: str) -> HttpResponseBase:
    """Serve what a check was made of or has made, to the team and the organizers only."""
    found = get_object_or_404(Submission.objects.manageable_by(request.user), pk=uuid)
    first = get_object_or_404(FirstPicture, run__submission=found)
    file = {"content": first.content, "style": first.style, "picture": first.picture}[which]
    if not file:
        raise Http404
    is_final = request.GET.get("v") == str(first.pk)
    return serve_png(request, file, version=f"check-{first.pk}-{which}", is_final=is_final)


def _visible_output(request: HttpRequest, uuid: UUID, position: int) -> Output:
    found = _visible(request.user, uuid)
    run = gallery.scoring_run(found)
    if run is None or not policies.may_see_outputs(request.user, found.phase):
        raise Http404
    kept = Output.objects.exclude(file="")
    return get_object_or_404(kept, run=run, pair__position=position)


@never_cache
@require_safe
def score_card(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Hand the score card out as a file, without what is not for this reader."""
    found = _visible(request.user, uuid)
    run = gallery.scoring_run(found)
    if run is None or run.card is None:
        raise Http404
    card = readable_parts(
        run.card,
        may_see_pairs=policies.may_see_outputs(request.user, found.phase),
        is_organizer=policies.is_organizer(request.user, found.phase.competition),
        schema_url=request.build_absolute_uri(reverse("score-card-schema")),
    )
    response = JsonResponse(card, json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="score-card-{found.pk}.json"'
    return response


@cache_control(public=True, max_age=3600)
@require_safe
def score_card_schema(_request: HttpRequest) -> HttpResponse:
    """Publish what score cards look like."""
    return HttpResponse(read_schema(), content_type="application/schema+json")


@never_cache
@require_safe
def submission_log(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Hand out what the workers wrote down, to the team and the organizers only."""
    found = get_object_or_404(Submission.objects.manageable_by(request.user), pk=uuid)
    parts = [
        _("Attempt %(number)s: %(stage)s, %(outcome)s")
        % {
            "number": run.attempt,
            "stage": run.get_stage_display(),
            "outcome": run.get_outcome_display(),
        }
        + f"\n{run.log or NOTHING}\n"
        for run in found.runs.order_by("attempt")
    ]
    response = HttpResponse("\n".join(parts), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="log-{found.pk}.txt"'
    return response


def _visible(user: Viewer, uuid: UUID) -> Submission:
    rows = Submission.objects.visible_to(user).select_related(
        "team", "phase__competition", "phase__recipe", "phase__reference_set"
    )
    return get_object_or_404(rows, pk=uuid)


def _state_context(user: Viewer, submission: Submission) -> dict[str, Any]:
    is_manager = Submission.objects.manageable_by(user).filter(pk=submission.pk).exists()
    return {
        "submission": submission,
        "phase": submission.phase,
        "competition": submission.phase.competition,
        "place": place_of(submission),
        "waits_in_vain": waits_in_vain(submission),
        "is_manager": is_manager,
        "can_cancel": is_manager and submission.status in sources_of(Status.CANCELLED),
        "stages": stages_of(submission),
        "check": check_of(submission) if is_manager else None,
        "can_change": submission.is_changeable
        and user.is_authenticated
        and team_of(user, submission.phase.competition) == submission.team,
    }


def _findings_context(request: HttpRequest, submission: Submission) -> dict[str, Any]:
    user = request.user
    may_see_pairs = policies.may_see_outputs(user, submission.phase)
    context: dict[str, Any] = {"may_see_pairs": may_see_pairs}
    run = gallery.scoring_run(submission)
    if run is not None:
        run.submission = submission  # loaded with its phase and recipe already
        best = best_before(submission, user=user)
        lines = gallery.score_lines(run, best)
        context |= {
            "run": run,
            "best": best,
            "lines": lines,
            "headline": next((line for line in lines if line.column.is_ranking), None),
            "gallery": gallery.gallery_of(run, request.GET.dict()) if may_see_pairs else None,
            "standing": gallery.place_on_board(submission),
        }
    if Submission.objects.manageable_by(user).filter(pk=submission.pk).exists():
        context["runs"] = list(EvaluationRun.objects.filter(submission=submission))
        context["manifest"] = json.dumps(submission.manifest, indent=2)
    return context
