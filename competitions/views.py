"""Pages about competitions: the list, one competition with its boards, reference pictures."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from competitions import policies, showcase, standing, timeline
from competitions.board_table import columns_of
from competitions.board_views import board_context
from competitions.models import Banner, Competition, Pair, Phase, ReferenceImage
from competitions.pairs_zip import send_pairs
from competitions.pictures import serve_png, serve_thumbnail, serve_webp

COMPETITIONS_PER_PAGE = 12
# From so many on the list can be narrowed down.
MANY_COMPETITIONS = 4


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """List the competitions: open ones first, or only those of the state asked for."""
    moment = now()
    listed = showcase.listed_competitions(request.user, at=moment)
    counts = showcase.count_states(request.user, at=moment)
    wanted = request.GET.get("state")
    state = showcase.State(wanted) if wanted in showcase.State.values else None
    if state is not None:
        listed = listed.filter(state=state)
    page = Paginator(listed, COMPETITIONS_PER_PAGE).get_page(request.GET.get("page"))
    total = sum(counts.values())
    context = {
        "cards": [showcase.card_of(competition, at=moment) for competition in page],
        "page": page,
        "state": state,
        "query": f"state={state.value}" if state else "",
        "total": total,
        "counts": list(counts.items()) if total >= MANY_COMPETITIONS or state else [],
    }
    return render(request, "competitions/home.html", context)


@require_safe
def competition(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a competition and, of its phases, the chosen one in full."""
    visible = Competition.objects.visible_to(request.user).select_related("banner")
    found = get_object_or_404(visible, slug=slug)
    phases = list(found.phases.select_related("recipe", "reference_set"))
    phase = _chosen(phases, request.GET.get("phase"))
    moment = now()
    context = {
        "competition": found,
        "schedule": showcase.schedule(phases, at=moment),
        "timeline": timeline.draw(phases, at=moment),
        "phase": phase,
        "standing": standing.standing_of(
            request.user, found, phases=phases, chosen=phase, at=moment
        ),
        "announcements": list(found.announcements.published()),
    }
    if phase is not None:
        context |= _phase_context(request, phase)
    return render(request, "competitions/competition.html", context)


def _chosen(phases: list[Phase], wanted: str | None) -> Phase | None:
    """Return the phase asked for, else one that is open, else the last one that was."""
    if wanted is not None:
        for phase in phases:
            if str(phase.pk) == wanted:
                return phase
        raise Http404
    moment = now()
    is_open = [phase for phase in phases if phase.is_open_at(moment)]
    has_opened = [phase for phase in phases if phase.opens_at <= moment]
    return next(iter(is_open or has_opened[-1:] or phases), None)


def _phase_context(request: HttpRequest, phase: Phase) -> dict[str, object]:
    may_see_pairs = policies.may_see_outputs(request.user, phase)
    recipe = phase.recipe.as_value()
    return board_context(request, phase, is_whole=False) | {
        "columns": columns_of(phase),
        "recipe": recipe,
        "style_layers": list(zip(recipe.style_layers, recipe.style_weights, strict=True)),
        "pair_count": Pair.objects.filter(reference_set=phase.reference_set_id).count(),
        "may_see_pairs": may_see_pairs,
        "samples": showcase.samples_of(phase) if may_see_pairs else [],
        "credits": showcase.credits_of(phase) if may_see_pairs else [],
    }


@require_safe
def banner(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve the picture that heads a competition, to those who may know of it."""
    found = get_object_or_404(Banner.objects.visible_to(request.user), pk=pk)
    return serve_webp(request, found.file, version=f"banner-{found.pk}", is_final=True)


@require_safe
def reference_image(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve a picture that submissions are scored against, to those who may see it."""
    image = _visible_image(request, pk)
    is_frozen = image.reference_set.frozen_at is not None
    return serve_png(request, image.file, version=image.pixels_sha256, is_final=is_frozen)


@require_safe
def reference_thumbnail(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve the small copy for lists, to those who may see the picture itself."""
    image = _visible_image(request, pk)
    return serve_thumbnail(
        request,
        image.thumbnail,
        image.file,
        version=image.pixels_sha256,
        is_final=image.reference_set.frozen_at is not None,
    )


def _visible_image(request: HttpRequest, pk: int) -> ReferenceImage:
    image = get_object_or_404(ReferenceImage.objects.select_related("reference_set"), pk=pk)
    if not policies.may_see_reference_image(request.user, image):
        raise Http404
    return image


@require_safe
def pairs_zip(request: HttpRequest, phase_id: int) -> HttpResponseBase:
    """Hand out the pairs of a phase with its recipe, to those who may see them."""
    phases = Phase.objects.visible_to(request.user)
    related = phases.select_related("competition", "recipe", "reference_set")
    phase = get_object_or_404(related, pk=phase_id)
    if not policies.may_see_outputs(request.user, phase):
        raise Http404
    return send_pairs(request, phase)
