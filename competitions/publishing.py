"""What a competition lacks before people may see it, and publishing it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils.functional import Promise
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from competitions.errors import Conflict
from competitions.models import (
    Competition,
    ImageRole,
    Phase,
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceSet,
)
from competitions.preparations import OPEN
from styletransfer.errors import InvalidRecipe
from styletransfer.metric_specs import METRICS
from styletransfer.recipe import Recipe

FID_IMAGES = 2  # a covariance needs two


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    Attributes:
        about: the row to change, or None if there is none yet (a phase that is missing).
        is_required: without it nothing is published; else it is advice.
    """

    code: str
    text: "str | Promise"
    is_done: bool
    about: Model | None
    is_required: bool = True


@dataclass(frozen=True)
class Group:
    """The lines about the competition itself, or about one of its phases."""

    phase: Phase | None
    items: list[Item]


def checklist(competition: Competition) -> list[Group]:
    """Return everything that is looked at before publishing, done or lacking."""
    phases = list(
        competition.phases.select_related("recipe", "reference_set").order_by("position", "pk")
    )
    groups = [Group(None, list(_about_competition(competition, phases)))]
    return groups + [Group(phase, check_phase(phase)) for phase in phases]


def lacking(groups: Iterable[Group]) -> list[Item]:
    """Keep what keeps the competition from being published."""
    return [
        item for group in groups for item in group.items if item.is_required and not item.is_done
    ]


def check_phase(phase: Phase) -> list[Item]:
    """Look at a phase, saved or about to be, with its reference set and its recipe."""
    return [
        *_about_images(phase),
        *_about_recipe(phase),
        Item(
            "networks",
            _("The networks that its recipe needs are pinned"),
            _has_networks(phase),
            phase,
        ),
        Item(
            "official_networks",
            _("It scores with the official networks, not with stand-ins"),
            not phase.uses_surrogates,
            phase,
            is_required=False,
        ),
    ]


def _about_competition(competition: Competition, phases: list[Phase]) -> Iterator[Item]:
    texts = (competition.title, competition.summary, competition.description)
    yield Item("texts", _("Title, summary and description are written"), all(texts), competition)
    yield Item(
        "phase",
        _("There is a phase, and its dates are set"),
        bool(phases),
        phases[0] if phases else None,
    )
    moment = now()
    yield Item(
        "phase_ahead",
        _("A phase is open or yet to open"),
        any(phase.closes_at is None or phase.closes_at > moment for phase in phases),
        phases[0] if phases else None,
        is_required=False,
    )
    advice = (
        ("rules", _("Rules are written"), competition.rules),
        ("data", _("The data is described"), competition.data_description),
        ("terms", _("There are terms that whoever joins accepts"), competition.terms),
    )
    for code, text, value in advice:
        yield Item(code, text, bool(value), competition, is_required=False)


def _about_images(phase: Phase) -> Iterator[Item]:
    references = phase.reference_set
    images = references.images.order_by()
    counts = {role: images.filter(role=role).count() for role in ImageRole.values}
    pairs = references.pairs.count()
    yield Item(
        "images",
        _("Its reference set has content images, style images and pairs of them"),
        bool(counts[ImageRole.CONTENT] and counts[ImageRole.STYLE] and pairs),
        references,
    )
    yield Item(
        "images_prepared",
        _("No upload to its reference set is waiting or being prepared"),
        not _imports_into(references).exists(),
        references,
    )
    if needs_real_images(phase.recipe.metrics):
        yield Item(
            "real_images",
            _("Its reference set has two reference images and two pairs or more, as FID needs"),
            counts[ImageRole.REAL] >= FID_IMAGES and pairs >= FID_IMAGES,
            references,
        )


def _imports_into(references: ReferenceSet) -> QuerySet[Preparation]:
    return references.preparations.filter(kind=PreparationKind.IMAGES, status__in=OPEN)


def needs_real_images(metrics: Iterable[str]) -> bool:
    return any("inception" in METRICS[key].needs for key in metrics if key in METRICS)


def _has_networks(phase: Phase) -> bool:
    try:
        return set(phase.recipe.as_value().extractors) <= set(phase.extractors)
    except InvalidRecipe:
        return True  # the line about the recipe says so


def _about_recipe(phase: Phase) -> Iterator[Item]:
    row = phase.recipe
    try:
        recipe: Recipe | None = row.as_value()
    except InvalidRecipe:
        recipe = None
    yield Item("recipe", _("Its recipe is complete"), recipe is not None, row)
    if recipe is None:
        return
    if recipe.gamma > 0:
        yield Item(
            "discriminator",
            _("Its recipe has the discriminator that the adversarial loss needs"),
            bool(row.discriminator and row.discriminator_sha256),
            row,
        )
    yield Item(
        "ranking",
        _("Its recipe measures what decides the rank"),
        phase.ranking_metric in recipe.scored,
        phase,
    )
    if phase.ranking_metric == "total":
        weights = (recipe.alpha, recipe.beta, recipe.gamma)
        yield Item("weights", _("The total has a weight above zero"), any(weights), row)
    yield Item(
        "calibrated",
        _("Its recipe's weights are calibrated on its reference set"),
        is_calibrated(phase),
        row,
        is_required=False,
    )


def is_calibrated(phase: Phase) -> bool:
    """Say whether the recipe has the weights that a calibration on these very images found."""
    row = phase.recipe
    done = row.preparations.filter(
        reference_set=phase.reference_set_id, status=PreparationStatus.DONE
    )
    weights = (row.alpha, row.beta, row.gamma)
    return any(
        tuple(each.result.get(name) for name in ("alpha", "beta", "gamma")) == weights
        for each in done
    )


@transaction.atomic
def publish(competition: Competition) -> None:
    """Let everybody see the competition from now on.

    Raises:
        Conflict: it is published already, or something lacks that it can't do without.
    """
    row = Competition.objects.select_for_update().get(pk=competition.pk)
    if row.published_at is not None:
        raise Conflict("already_published", _("This competition is published already."))
    if missing := lacking(checklist(row)):
        raise Conflict(
            "not_ready",
            _("Not published: the checklist says what is lacking."),
            lacking=[item.code for item in missing],
        )
    Competition.objects.filter(pk=row.pk).update(published_at=now())
    competition.refresh_from_db()


@transaction.atomic
def unpublish(competition: Competition) -> None:
    """Hide the competition from everybody but its organizers; nothing of it is lost.

    Raises:
        Conflict: it is not published.
    """
    if not Competition.objects.filter(pk=competition.pk, published_at__isnull=False).update(
        published_at=None
    ):
        raise Conflict("not_published", _("This competition is not published."))
    competition.refresh_from_db()
