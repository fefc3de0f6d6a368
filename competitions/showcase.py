"""What visitors see of competitions and phases, gathered in a fixed number of queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from competitions.models import (
    Competition,
    ImageRole,
    LeaderboardEntry,
    Pair,
    Participant,
    Phase,
    ReferenceImage,
    Team,
)
from competitions.people import Viewer

SAMPLES = 6


class State(models.TextChoices):
    OPEN = "open", _("Open")
    UPCOMING = "upcoming", _("Opens soon")
    CLOSED = "closed", _("Closed")


@dataclass(frozen=True)
class Schedule:
    """When phases, taken together, are open; ``closes_at`` None means never."""

    state: State
    opens_at: datetime | None
    closes_at: datetime | None


@dataclass(frozen=True)
class Sample:
    """A pair to show, with what the leading submission made of it, if there is one."""

    content_id: int
    style_id: int
    position: int
    size: int
    leader_id: UUID | None


@dataclass(frozen=True)
class Card:
    """A competition in the list."""

    competition: Competition
    schedule: Schedule
    phases: Sequence[Phase]
    sample: Sample | None
    teams: int
    submissions: int
    own_team: str
    """The viewer's team in it; empty for whoever does not take part."""

    @property
    def surrogates(self) -> list[str]:
        """Name the stand-in weights that any phase scores with, each once."""
        return sorted({name for phase in self.phases for name in phase.surrogates})


@dataclass(frozen=True)
class Credit:
    """Whom a group of images is owed to."""

    credit: str
    licence: str
    source: str
    names: Sequence[str]


def schedule(phases: Iterable[Phase], *, at: datetime) -> Schedule:
    phases = list(phases)
    if any(phase.is_open_at(at) for phase in phases):
        state = State.OPEN
    elif not phases or any(phase.opens_at > at for phase in phases):
        state = State.UPCOMING
    else:
        state = State.CLOSED
    ends = [phase.closes_at for phase in phases]
    return Schedule(
        state=state,
        opens_at=min((phase.opens_at for phase in phases), default=None),
        closes_at=None if None in ends else max((end for end in ends if end), default=None),
    )


def listed_competitions(user: Viewer, *, at: datetime) -> QuerySet[Any]:
    """Load the list's competitions with counts and phases; two queries, however many there are.

    Those that are open come first, then those to come, then those that are over.
    """
    teams = Team.objects.filter(competition=OuterRef("pk"), is_baseline=False)
    entered = Competition.objects.filter(pk=OuterRef("pk"))
    listed: QuerySet[Any] = (
        with_states(Competition.objects.visible_to(user), at=at)
        .annotate(
            team_count=_counted(teams, by="competition", what="pk"),
            submission_count=_counted(entered, by="pk", what="phases__submissions"),
            own_team=_own_team(user),
        )
        .select_related("banner")
        .order_by(
            Case(When(state=State.OPEN, then=0), When(state=State.UPCOMING, then=1), default=2),
            "-published_at",
            "slug",
        )
        .prefetch_related(Prefetch("phases", queryset=_phases_with_sample()))
    )
    return listed


def with_states(competitions: QuerySet[Competition], *, at: datetime) -> QuerySet[Any]:
    """Add ``state``, in the database what ``schedule`` says of phases that are loaded."""
    phases = Phase.objects.filter(competition=OuterRef("pk"))
    lasts = Q(closes_at=None) | Q(closes_at__gt=at)
    return competitions.annotate(
        state=Case(
            When(Exists(phases.filter(lasts, opens_at__lte=at)), then=Value(State.OPEN)),
            When(Exists(phases.filter(opens_at__gt=at)), then=Value(State.UPCOMING)),
            When(~Exists(phases), then=Value(State.UPCOMING)),
            default=Value(State.CLOSED),
        )
    )


def count_states(user: Viewer, *, at: datetime) -> dict[State, int]:
    """Return how many competitions of each state ``user`` may see; one query."""
    rows = with_states(Competition.objects.visible_to(user), at=at).order_by().values("state")
    counts = dict(rows.annotate(amount=Count("pk")).values_list("state", "amount"))
    return {state: counts.get(state, 0) for state in State}


def _own_team(user: Viewer) -> Coalesce:
    if not user.is_authenticated:
        return Coalesce(Value(""), Value(""))
    own = Participant.objects.filter(user=user, competition=OuterRef("pk")).values("team__name")
    return Coalesce(Subquery(own[:1]), Value(""))


def _counted(rows: QuerySet[Any], *, by: str, what: str) -> Coalesce:
    counts = rows.order_by().values(by).annotate(amount=Count(what)).values("amount")
    return Coalesce(Subquery(counts), 0)


def _phases_with_sample() -> QuerySet[Phase]:
    first = Pair.objects.filter(reference_set=OuterRef("reference_set")).order_by("position")[:1]
    return Phase.objects.select_related("reference_set").annotate(
        leader_id=Subquery(_best_first(OuterRef("pk")).values("submission_id")[:1]),
        sample_content=Subquery(first.values("content")),
        sample_style=Subquery(first.values("style")),
        sample_position=Subquery(first.values("position")),
    )


def _best_first(phase: Any) -> QuerySet[LeaderboardEntry]:
    best = Case(
        When(phase__ranking_direction="lower", then=F("ranking_value")),
        default=-F("ranking_value"),
    )
    ranked = LeaderboardEntry.objects.filter(phase=phase, ranking_value__isnull=False)
    return ranked.order_by(best, "submitted_at", "pk")


def card_of(competition: Competition, *, at: datetime) -> Card:
    """Describe a competition that came through ``listed_competitions``; no query."""
    phases = list(competition.phases.all())
    samples = [sample for phase in phases if (sample := _annotated_sample(phase))]
    # A picture that somebody made says more than a pair alone.
    samples.sort(key=lambda sample: sample.leader_id is None)
    annotated: Any = competition
    return Card(
        competition=competition,
        schedule=schedule(phases, at=at),
        phases=phases,
        sample=samples[0] if samples else None,
        teams=annotated.team_count,
        submissions=annotated.submission_count,
        own_team=annotated.own_team,
    )


def _annotated_sample(phase: Any) -> Sample | None:
    if not phase.pairs_public or phase.sample_content is None:
        return None
    return Sample(
        content_id=phase.sample_content,
        style_id=phase.sample_style,
        position=phase.sample_position,
        size=phase.reference_set.image_size,
        leader_id=phase.leader_id,
    )


def samples_of(phase: Phase, *, amount: int = SAMPLES) -> list[Sample]:
    """Return pairs spread over the whole set, with the leading submission's outputs."""
    pairs = Pair.objects.filter(reference_set=phase.reference_set_id)
    total = pairs.count()
    places = {index * (total - 1) // (amount - 1) for index in range(amount)}
    leader = _best_first(phase.pk).values_list("submission_id", flat=True).first()
    return [
        Sample(
            content_id=pair.content_id,
            style_id=pair.style_id,
            position=pair.position,
            size=phase.reference_set.image_size,
            leader_id=leader,
        )
        for pair in pairs.filter(position__in=places).order_by("position")
    ]


def credits_of(phase: Phase) -> list[Credit]:
    """Return whom the content and style images are owed to, each once."""
    images = ReferenceImage.objects.filter(
        reference_set=phase.reference_set_id, role__in=[ImageRole.CONTENT, ImageRole.STYLE]
    )
    groups: dict[tuple[str, str, str], list[str]] = {}
    for image in images.order_by("role", "position"):
        if image.credit or image.licence:
            owed = (image.credit, image.licence, image.source)
            groups.setdefault(owed, []).append(image.name)
    return [Credit(*owed, names) for owed, names in groups.items()]
