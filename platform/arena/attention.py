"""What organizers see first: their competitions, and what waits for somebody to act."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.utils.timezone import now

from arena.operations import checks
from arena.operations.checks import Finding
from competitions import publishing, showcase
from competitions.models import Announcement, Competition, Preparation, PreparationStatus
from competitions.models.competition import CompetitionQuerySet
from competitions.people import Viewer
from evaluation.models import Worker
from submissions.models import Submission
from submissions.states import ACTIVE, Status

SHOWN = 12


@dataclass(frozen=True)
class Overview:
    """One competition of the list; ``lacking`` counts what keeps a draft from publication."""

    competition: Competition
    state: showcase.State | None
    phases: int
    teams: int
    submissions: int
    active: int
    lacking: int


@dataclass(frozen=True)
class Attention:
    """What somebody should look at."""

    preparations: Sequence[Preparation]
    faults: Sequence[Submission]
    drafts: Sequence[Announcement]
    workers: Sequence[Worker]
    """Those that take nothing because their sandbox leaks or can't be built."""
    troubles: Sequence[Finding]

    def __bool__(self) -> bool:
        return bool(
            self.preparations or self.faults or self.drafts or self.workers or self.troubles
        )


def overview(user: Viewer) -> Mapping[str, Any]:
    """Return the newest competitions of an organizer and what needs attention in all of them."""
    organized = Competition.objects.organized_by(user)
    counted = organized.annotate(
        phases_in=Count("phases", distinct=True),
        teams_in=Count("teams", filter=Q(teams__is_baseline=False), distinct=True),
        submissions_in=Count("phases__submissions", distinct=True),
        active_in=Count(
            "phases__submissions", filter=Q(phases__submissions__status__in=ACTIVE), distinct=True
        ),
    ).order_by("-created_at")
    shown = list(counted.prefetch_related("phases")[:SHOWN])
    return {
        "competitions": [_describe(each) for each in shown],
        "has_more": organized.count() > len(shown),
        "attention": _attention(organized, user),
    }


def _describe(competition: Any) -> Overview:
    phases = list(competition.phases.all())
    is_published = competition.is_published
    return Overview(
        competition=competition,
        state=showcase.schedule(phases, at=now()).state if is_published and phases else None,
        phases=competition.phases_in,
        teams=competition.teams_in,
        submissions=competition.submissions_in,
        active=competition.active_in,
        lacking=0 if is_published else len(publishing.lacking(publishing.checklist(competition))),
    )


def _attention(competitions: CompetitionQuerySet, user: Viewer) -> Attention:
    organized = competitions.order_by().values("pk")
    troubled = [PreparationStatus.REJECTED, PreparationStatus.FAULT]
    # What was tried again and came out well needs nobody any more: only the last one counts.
    last: dict[tuple[str, int | None, int | None, int | None], Preparation] = {}
    for each in (
        Preparation.objects.about(competitions)
        .select_related("competition", "reference_set", "recipe")
        .order_by("-created_at")[: 10 * SHOWN]
    ):
        of = (each.kind, each.competition_id, each.reference_set_id, each.recipe_id)
        last.setdefault(of, each)
    faults = Submission.objects.filter(
        phase__competition__in=organized, status=Status.PLATFORM_FAULT
    )
    drafts = Announcement.objects.filter(competition__in=organized, published_at__isnull=True)
    watched = checks.PANEL_OF_ADMINISTRATORS if user.is_superuser else checks.PANEL
    return Attention(
        preparations=[each for each in last.values() if each.status in troubled][:SHOWN],
        faults=list(faults.select_related("team", "phase").order_by("created_at")[:SHOWN]),
        drafts=list(drafts.select_related("competition").order_by("-created_at")[:SHOWN]),
        workers=list(Worker.objects.without_walls()[:SHOWN]) if user.is_superuser else [],
        troubles=[each for each in checks.run(watched) if not each.is_ok],
    )
