"""However the pairs of a phase are divided among workers, its score card is the same."""

import json
import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from styletransfer.determinism import make_deterministic
from styletransfer.errors import InvalidShard
from styletransfer.making import Making
from styletransfer.metric_specs import METRICS
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.scoring import Scorer
from styletransfer.second_pass import (
    UNAVAILABLE,
    SecondPass,
    choose_order,
    order_within,
    pass_again,
)
from styletransfer.shard import ShardResult
from styletransfer.surrogates import BY_ROLE, PINS
from styletransfer.values import Image, ReferenceImages

CHECKPOINT = "c" * 64
SIDE, PAIRS = 96, 7
# All that is measured of outputs, sets included, but for what takes a discriminator.
RECIPE = Recipe(
    alpha=3e-5,
    beta=10.0,
    metrics=tuple(
        key
        for key, spec in METRICS.items()
        if spec.source == "outputs" and "discriminator" not in spec.needs
    ),
)
SPLITS: list[list[int]] = [[3, 4], [1] * PAIRS, [6, 1], [2, 3, 2]]


def make_image(seed: int) -> Image:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3))
    speckles = rng.integers(-20, 20, (SIDE, SIDE, 3))
    pixels = np.kron(blocks, np.ones((8, 8, 1), dtype=np.int64)) + speckles
    return pixels.clip(0, 255).astype(np.uint8)


@cache
def make_references() -> ReferenceImages:
    return ReferenceImages(
        contents=[make_image(seed) for seed in range(4)],
        styles=[make_image(seed) for seed in range(10, 13)],
        pairs=[(number % 4, number % 3) for number in range(PAIRS)],
        reals=[make_image(seed) for seed in range(20, 26)],
        sha256="a" * 64,
    )


@pytest.fixture(name="scorer", scope="module")
def make_scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    make_deterministic(1)
    extractors = {role: PINS[name] for role, name in BY_ROLE.items()}
    cache_dir = tmp_path_factory.mktemp("features")
    return Scorer(RECIPE, make_references(), extractors, cache_dir=cache_dir)


@cache
def make_outputs() -> list[Image]:
    """Return outputs of which one is a copy, so that there is something to flag."""
    copied = make_references().contents[make_references().pairs[5][0]]
    return [copied if pair == 5 else make_image(100 + pair) for pair in range(PAIRS)]


def measure(scorer: Scorer, pairs: range) -> ShardResult:
    """Measure the outputs of some pairs."""
    outputs = make_outputs()
    meter = scorer.begin(pairs)
    for number in pairs:
        meter.take(outputs[number])
    making = Making([float(number) for number in pairs], parameters=7, memory_bytes=pairs.stop)
    return replace(meter.finish(), making=making)


def measure_guarded(scorer: Scorer, pairs: range) -> ShardResult:
    """Do all that a worker does with some pairs."""
    outputs, guards = make_outputs(), {}
    disturbed = scorer.disturb(outputs.__getitem__, pairs)
    if disturbed is not None:
        guards["sensitivity"] = disturbed.to_json()
    order = order_within(choose_order(PAIRS, scorer.seed(CHECKPOINT)), pairs)
    if order:

        def again(numbers: Sequence[int]) -> list[Image]:
            return [outputs[number] for number in numbers]

        guards["second_pass"] = pass_again(order, outputs.__getitem__, again).to_json()
    return replace(measure(scorer, pairs), guards=guards)


def divide(counts: Sequence[int]) -> list[range]:
    ends = np.cumsum(counts).tolist()
    return [range(end - count, end) for count, end in zip(counts, ends, strict=True)]


def put_together(scorer: Scorer, shards: Sequence[ShardResult]) -> ScoreCard:
    return scorer.put_together(shards, checkpoint_sha256=CHECKPOINT)


def comparable(card: ScoreCard) -> str:
    """Return all of a card that is not about how long it took; guards by pair, not by worker."""
    found = card.to_json()
    del found["measurements"]
    for guard in found["guards"].values():
        guard["pairs"] = sorted(guard["pairs"])
    return json.dumps(found, sort_keys=True)


@pytest.fixture(name="whole", scope="module")
def score_whole(scorer: Scorer) -> ScoreCard:
    return put_together(scorer, [measure_guarded(scorer, range(PAIRS))])


@pytest.mark.parametrize("counts", SPLITS, ids=lambda counts: "+".join(map(str, counts)))
def test_every_division_gives_the_bits_of_the_whole(
    scorer: Scorer, whole: ScoreCard, counts: list[int]
) -> None:
    shards = [
        ShardResult.from_bytes(measure_guarded(scorer, pairs).to_bytes(), pairs)
        for pairs in divide(counts)
    ]
    card = put_together(scorer, shards[::-1])  # in whichever order they come
    assert card.scores == whole.scores
    assert card.scores_sha256 == whole.scores_sha256
    assert comparable(card) == comparable(whole)
    assert card.measurements["parameters"] == 7
    assert card.measurements["peak_memory"] == PAIRS


def test_the_whole_is_what_scoring_at_once_gives(scorer: Scorer, whole: ScoreCard) -> None:
    card = scorer.score(make_outputs(), checkpoint_sha256=CHECKPOINT)
    assert card.scores_sha256 == whole.scores_sha256
    assert card.per_pair == whole.per_pair
    assert {flag["code"] for flag in card.flags} >= {"copies_content"}
    assert [flag["pairs"] for flag in card.flags if flag["code"] == "copies_content"] == [[5]]


def test_batches_of_a_gpu_give_equal_bits_where_shards_begin_at_a_batch(scorer: Scorer) -> None:
    prepared = scorer.prepare()
    scorer._prepared = replace(prepared, batch=4)
    try:
        whole, *divided = (
            put_together(scorer, [measure(scorer, pairs) for pairs in divide(counts)])
            for counts in ([PAIRS], [4, 3])
        )
    finally:
        scorer._prepared = prepared
    assert {card.scores_sha256 for card in divided} == {whole.scores_sha256}
    assert whole.provenance["batch"] == 4


def test_no_picture_is_kept_once_it_is_measured(scorer: Scorer) -> None:
    meter = scorer.begin(range(3))
    kept = []
    for seed in range(3):
        output = make_image(seed)
        kept.append(weakref.ref(output))
        meter.take(output)
        del output
    assert [reference() for reference in kept] == [None] * 3


def test_times_add_up_and_the_first_picture_of_a_shard_is_not_steady(scorer: Scorer) -> None:
    shards = [measure(scorer, pairs) for pairs in divide([3, 4])]
    card = put_together(scorer, shards)
    assert card.measurements["shards"] == 2
    assert card.measurements["vgg_s"] == sum(shard.measurements["vgg_s"] for shard in shards)
    assert card.measurements["ms_per_image"] == 4000  # of 1 and 2, and 4 to 6 seconds


def test_workers_of_different_kinds_are_named_on_the_card(scorer: Scorer) -> None:
    first, second = (measure(scorer, pairs) for pairs in divide([3, 4]))
    other = replace(second, arithmetic={**second.arithmetic, "cpu_capability": "NEON"})
    card = put_together(scorer, [first, other])
    assert card.provenance["cpu_capability"] == first.arithmetic["cpu_capability"]
    assert [each["cpu_capability"] for each in card.provenance["also_measured_by"]] == ["NEON"]


def test_shards_that_are_not_the_whole_are_refused(scorer: Scorer) -> None:
    first, second = (measure(scorer, pairs) for pairs in divide([3, 4]))
    fewer = {key: found for key, found in second.values.items() if key != "ssim"}
    for shards, told in (
        ([first], "3 of 7 pairs"),
        ([second], "pair 0 comes next"),
        ([first, first, second], "pair 3 comes next"),
        ([first, replace(second, values=fewer)], "expected values of"),
        ([first, replace(second, features={})], "features are of another recipe"),
    ):
        with pytest.raises(InvalidShard, match=told):
            put_together(scorer, shards)


def test_what_is_no_shard_s_result_is_refused(scorer: Scorer, tmp_path: Path) -> None:
    pairs = range(5, 7)
    data = measure(scorer, pairs).to_bytes()
    tensors = load(data)
    metadata = {"form": "1", "said": json.dumps({"first": 5, "arithmetic": {}, "guards": {}})}
    for broken in (
        b"",
        b"\x00" * 64,
        data[:-1],
        data + b"\x00",
        data.replace(b'"form":"1"', b'"form":"9"'),
        save(tensors),
        save(tensors, metadata),  # no measurements
        save({**tensors, "pictures": tensors["likeness"]}, metadata),
        save({**tensors, "values.ssim": tensors["values.ssim"][:1]}, metadata),
        save({**tensors, "values.ssim": tensors["values.ssim"].astype(np.float32)}, metadata),
    ):
        with pytest.raises(InvalidShard):
            ShardResult.from_bytes(broken, pairs)
    with pytest.raises(InvalidShard, match="expected a shard of"):
        ShardResult.from_bytes(data, range(0, 2))


def test_no_pair_of_a_shard_comes_again_at_its_old_place() -> None:
    for seed in range(50):
        order = choose_order(200, seed)
        for pairs in divide([64, 64, 64, 8]):
            here = order_within(order, pairs)
            assert set(here) == set(order) & set(pairs)
            assert len(here) < 2 or all(pair != pairs[place] for place, pair in enumerate(here))


def test_a_second_pass_that_failed_in_one_shard_is_told_of_the_whole() -> None:
    fine = SecondPass((3, 1), (0, 1), (0.0, 0.5))
    unknown = SecondPass((7,), failure=UNAVAILABLE)
    crashed = SecondPass((9,), failure="generator_crashed")
    assert SecondPass.join([fine, unknown]) == fine
    assert SecondPass.join([unknown]).failure == UNAVAILABLE
    assert [flag.code for flag in SecondPass.join([fine, crashed]).flags()] == ["fails_second_pass"]
    assert SecondPass.from_json(json.loads(json.dumps(fine.to_json()))) == fine
