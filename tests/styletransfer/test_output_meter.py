"""Outputs that come one by one, measured alone or several at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from styletransfer import references, scoring
from styletransfer.devices import choose_batch, open_device
from styletransfer.errors import DeviceUnavailable, ShapeMismatch
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.scoring import Scorer
from styletransfer.surrogates import BY_ROLE, PINS
from styletransfer.values import Image, ReferenceImages

METRICS = ("content", "style", "total", "fid_pytorch", "fid_clean", "kid", "ssim", "cfsd")
EXTRACTORS = {role: PINS[name] for role, name in BY_ROLE.items()}
SIDE, PAIRS = 32, 5
TOLERANCE = 1e-5  # relative; what float32 networks may differ by in batches of another size


def make_image(seed: int) -> Image:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3))
    return np.kron(blocks, np.ones((8, 8, 1), dtype=np.int64)).astype(np.uint8)


def make_references() -> ReferenceImages:
    return ReferenceImages(
        contents=[make_image(seed) for seed in range(3)],
        styles=[make_image(seed) for seed in (10, 11)],
        pairs=[(0, 0), (1, 0), (2, 1), (0, 1), (1, 1)],
        reals=[make_image(seed) for seed in range(20, 25)],
        sha256="a" * 64,
    )


def make_scorer(recipe: Recipe | None = None) -> Scorer:
    return Scorer(
        recipe or Recipe(metrics=METRICS),
        make_references(),
        EXTRACTORS,
    )


def make_outputs() -> list[Image]:
    return [make_image(seed) for seed in range(30, 30 + PAIRS)]


def score_one_by_one(scorer: Scorer) -> ScoreCard:
    meter = scorer.begin()
    for output in make_outputs():
        meter.take(output)
    return scorer.put_together([meter.finish()], checkpoint_sha256="c")


def test_one_by_one_or_all_at_once_gives_equal_bits() -> None:
    scorer = make_scorer()
    together = scorer.score(make_outputs(), checkpoint_sha256="c")
    apart = score_one_by_one(scorer)
    assert apart.scores == together.scores
    assert apart.per_pair == together.per_pair


def test_batches_of_another_size_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = score_one_by_one(make_scorer())
    for module in (scoring, references):
        monkeypatch.setattr(module, "choose_batch", lambda *_: 2)  # as on a GPU; one is left over
    batched = score_one_by_one(make_scorer())
    assert batched.provenance["batch"] == 2
    for key, values in alone.per_pair.items():
        assert batched.per_pair[key] == pytest.approx(values, rel=TOLERANCE)
    for key, score in alone.scores.items():
        assert batched.scores[key].value == pytest.approx(score.value, rel=TOLERANCE)


def test_too_few_and_too_many_outputs_are_refused() -> None:
    meter = make_scorer(replace(Recipe(), metrics=("ssim",))).begin()
    for output in make_outputs()[:-1]:
        meter.take(output)
    with pytest.raises(ShapeMismatch, match=f"expected {PAIRS} outputs"):
        meter.finish()
    meter.take(make_outputs()[-1])
    with pytest.raises(ShapeMismatch, match="got more"):
        meter.take(make_outputs()[0])
    assert meter.finish().values["ssim"].max() < 1


def test_an_output_of_another_size_is_refused_when_it_comes() -> None:
    meter = make_scorer(replace(Recipe(), metrics=("ssim",))).begin()
    with pytest.raises(ShapeMismatch, match="expected an image of"):
        meter.take(make_image(1)[:16])


def test_the_cpu_measures_one_at_a_time() -> None:
    assert choose_batch(torch.device("cpu"), 256 * 256) == 1


@pytest.mark.parametrize("name", ["", "gpu", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(DeviceUnavailable):
        open_device(name)


def test_auto_takes_what_there_is() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert open_device("auto").type == expected
