"""Calibrating a recipe on behalf of an organizer: measure, then set its weights."""

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from competitions.models import Preparation, PreparationStatus, ReferenceSet, ScoringRecipe
from competitions.preparation_problems import PreparationRejected
from evaluation.lease import Lease
from evaluation.preparations import PreparationStopped, set_of
from evaluation.references import read_references
from evaluation.worker import workplace
from styletransfer.errors import (
    DegenerateAnchor,
    InvalidRecipe,
    NonFiniteInput,
    WeightsMismatch,
    WeightsUnavailable,
)
from styletransfer.recipe import Recipe
from styletransfer.values import ExtractorPin


def calibrate_recipe(preparation: Preparation, lease: Lease) -> bool:
    """Set a recipe's weights so that its terms count alike; return whether the row was still ours.

    Raises:
        PreparationRejected: the organizer can mend it.
        PreparationStopped: there is no reason to go on.
    """
    if preparation.recipe is None:  # a constraint forbids it
        raise ValueError("a calibration without a recipe")
    recipe = ScoringRecipe.objects.get(pk=preparation.recipe.pk)
    before = _described(set_of(preparation), recipe)
    weighed = _measure(preparation, recipe, lease)
    with transaction.atomic():
        row = ScoringRecipe.objects.select_for_update().get(pk=recipe.pk)
        if row.is_used:
            raise PreparationRejected("recipe_in_use")
        if _described(set_of(preparation), row) != before:
            raise PreparationRejected("changed_meanwhile")
        _apply(row, weighed)
        ended = preparation.end(
            PreparationStatus.DONE,
            result={**preparation.result, **_findings(weighed)},
            finished_at=Now(),
        )
        if not ended:
            transaction.set_rollback(True)
    return ended


def _measure(preparation: Preparation, recipe: ScoringRecipe, lease: Lease) -> Recipe:
    from evaluation import runner  # loads torch: workers only

    def report(done: int, of: int) -> None:
        lease.count(done, of)
        if lease.should_stop:
            raise PreparationStopped

    pin = ExtractorPin(**preparation.result["vgg"])
    references = read_references(set_of(preparation))
    if not references.pairs:
        raise PreparationRejected("no_pairs")
    discriminator: bytes | None = None
    if recipe.discriminator:
        with recipe.discriminator.open("rb") as file:
            discriminator = file.read()
    try:
        runner.open_pinned(pin, recipe.as_value(), workplace())
    except (WeightsUnavailable, WeightsMismatch) as error:
        raise PreparationRejected("weights_unavailable", network=pin.name) from error
    except InvalidRecipe as error:
        raise PreparationRejected("bad_recipe", reason=str(error)[:200]) from error
    try:
        return runner.calibrate(
            recipe.as_value(), references, pin, discriminator, report, workplace()
        )
    except DegenerateAnchor as error:
        raise PreparationRejected("degenerate_anchor") from error
    except (WeightsMismatch, NonFiniteInput) as error:
        raise PreparationRejected("bad_discriminator") from error
    except (InvalidRecipe, ZeroDivisionError) as error:
        raise PreparationRejected("bad_recipe", reason=str(error)[:200]) from error


def _described(reference_set: ReferenceSet, recipe: ScoringRecipe) -> tuple[Any, ...]:
    """Return all that the weights depend on; the weights themselves may be anything."""
    images = reference_set.images.values_list("role", "position", "pixels_sha256")
    pairs = reference_set.pairs.values_list("content_id", "style_id")
    try:
        value = recipe.as_value().calibrated(alpha=0, beta=0, gamma=0)
    except InvalidRecipe as error:
        raise PreparationRejected("bad_recipe", reason=str(error)[:200]) from error
    return (
        list(images.order_by("role", "position")),
        list(pairs.order_by("position")),
        value.sha256(),
    )


def _apply(recipe: ScoringRecipe, weighed: Recipe) -> None:
    recipe.alpha, recipe.beta, recipe.gamma = weighed.alpha, weighed.beta, weighed.gamma
    recipe.discriminator_sha256 = weighed.discriminator_sha256 or ""
    recipe.sha256 = recipe.as_value().sha256()
    recipe.save()


def _findings(weighed: Recipe) -> dict[str, Any]:
    """Return the weights and the anchors they are the inverses of."""
    weights = {"alpha": weighed.alpha, "beta": weighed.beta, "gamma": weighed.gamma}
    terms = {"alpha": "content", "beta": "style", "gamma": "adversarial"}
    anchors = {terms[key]: 1 / weight for key, weight in weights.items() if weight}
    return {**weights, "anchors": anchors}
