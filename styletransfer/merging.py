"""Put a score card together from what was measured of successive pairs, in one piece or many."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.clock import StepClock
from styletransfer.errors import InvalidShard, NonFiniteInput
from styletransfer.flags import find_copies
from styletransfer.inception import FEATURES
from styletransfer.making import measure_making
from styletransfer.metrics.interval import bootstrap_mean
from styletransfer.pair_values import derive_values
from styletransfer.prepared import Prepared
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.second_pass import SecondPass
from styletransfer.sensitivity import Disturbed
from styletransfer.set_values import compare_sets, find_near, preparations_of
from styletransfer.shard import ShardResult
from styletransfer.values import Estimate

PEAK = "peak_rss_bytes"


def put_together(
    prepared: Prepared,
    shards: Sequence[ShardResult],
    *,
    seed: int,
    provenance: Mapping[str, Any],
) -> ScoreCard:
    """Return the card of all pairs; how they were divided changes nothing in it but times.

    Raises:
        InvalidShard: the shards are not all pairs of the phase, each once, or one lacks a metric.
        NonFiniteInput: a value is NaN or infinite; there is no score then.
        TooFewSamples: a distance of sets of fewer than two outputs.
    """
    shards = sorted(shards, key=lambda shard: shard.pairs.start)
    _require_whole(prepared, shards)
    recipe, clock = prepared.recipe, StepClock()
    raw = {key: _join([shard.values[key] for shard in shards]) for key in shards[0].values}
    numbers = range(len(prepared.references.pairs))
    per_pair = derive_values(recipe, prepared.features, numbers, raw)
    with clock.measure("intervals"):
        scores = {
            key: Estimate(*bootstrap_mean(values, seed=seed)) for key, values in per_pair.items()
        }
    flags = find_copies(_join([shard.likeness for shard in shards]))
    if prepared.sets is not None:
        features = {
            name: _join([shard.features[name] for shard in shards])
            for name in preparations_of(recipe)
        }
        lpips = float(raw["lpips"].mean()) if "lpips" in raw else math.nan
        with clock.measure("frechet"):
            scores |= compare_sets(recipe, prepared.sets, features, seed, lpips=lpips)
        with clock.measure("flags"):
            flags += find_near(features, prepared.sets)
    # The recipe's order, whatever order the values were found in.
    scores = {key: scores[key] for key in recipe.scored}
    _require_finite(scores)
    card = ScoreCard(
        scores=scores,
        per_pair={key: values.tolist() for key, values in per_pair.items()},
        flags=[flag.to_json() for flag in flags],
        measurements=_add_up(shards, clock),
        provenance={**provenance, **_describe_arithmetic(shards)},
    )
    return _with_guards(card, shards)


def _require_whole(prepared: Prepared, shards: Sequence[ShardResult]) -> None:
    end = 0
    recipe = prepared.recipe
    wanted = expected_values(recipe)
    for shard in shards:
        if shard.pairs.start != end:
            raise InvalidShard(f"pair {end} comes next, not {shard.pairs.start}")
        end = shard.pairs.stop
        if set(shard.values) != wanted:
            raise InvalidShard(f"expected values of {sorted(wanted)}, got {sorted(shard.values)}")
        shapes = {name: rows.shape for name, rows in shard.features.items()}
        if shapes != dict.fromkeys(preparations_of(recipe), (len(shard.pairs), FEATURES)):
            raise InvalidShard(f"features are of another recipe: {shapes}")
    if end != len(prepared.references.pairs):
        raise InvalidShard(f"{end} of {len(prepared.references.pairs)} pairs were measured")


def expected_values(recipe: Recipe) -> set[str]:
    """Name what networks say of each output under a recipe."""
    found = {"content", "style"} | ({"cfsd", "ssim"} & set(recipe.measured))
    found |= {"lpips"} & recipe.needs
    return found | ({"adversarial"} if recipe.discriminator_sha256 is not None else set())


def _join(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts)


def _add_up(shards: Sequence[ShardResult], clock: StepClock) -> dict[str, float]:
    """Return seconds of all workers together; of memory, the most that one of them needed."""
    spent = [shard.measurements for shard in shards] + [clock.report()]
    keys = dict.fromkeys(key for each in spent for key in each)
    found = {key: sum(each.get(key, 0.0) for each in spent) for key in keys if key != PEAK}
    found[PEAK] = max(each.get(PEAK, 0.0) for each in spent)
    makings = [shard.making for shard in shards if shard.making is not None]
    if len(makings) == len(shards):
        found |= measure_making(makings)
    return found | ({"shards": len(shards)} if len(shards) > 1 else {})


def _describe_arithmetic(shards: Sequence[ShardResult]) -> dict[str, Any]:
    """Say what the last bits depend on; workers of different kinds are all named."""
    kinds: list[Mapping[str, Any]] = []
    for shard in shards:
        if shard.arithmetic not in kinds:
            kinds.append(shard.arithmetic)
    others = {"also_measured_by": [dict(kind) for kind in kinds[1:]]} if kinds[1:] else {}
    return {**kinds[0], **others}


def _with_guards(card: ScoreCard, shards: Sequence[ShardResult]) -> ScoreCard:
    disturbed = [shard.guards["sensitivity"] for shard in shards if "sensitivity" in shard.guards]
    if disturbed:
        found = Disturbed.join([Disturbed.from_json(each) for each in disturbed])
        card = found.judge().add_to(card)
    again = [shard.guards["second_pass"] for shard in shards if "second_pass" in shard.guards]
    if again:
        card = SecondPass.join([SecondPass.from_json(each) for each in again]).add_to(card)
    return card


def _require_finite(scores: Mapping[str, Estimate]) -> None:
    for key, estimate in scores.items():
        numbers = [number for number in estimate.to_json().values() if number is not None]
        if not np.isfinite(numbers).all():
            raise NonFiniteInput(f"{key} is not a finite number")
