"""Metrics that a recipe has to ask for: they are measured as their definitions say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from styletransfer.images import resize_bicubic
from styletransfer.metric_specs import METRICS
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.interval import bootstrap_kernel, draw_indices
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid
from styletransfer.metrics.structure import cfsd, ssim
from styletransfer.recipe import Recipe
from styletransfer.references import lpips_key
from styletransfer.scoring import Scorer
from styletransfer.surrogates import BY_ROLE, INCEPTION, LPIPS, PINS, VGG
from styletransfer.values import Image, ReferenceImages
from styletransfer.vgg import to_batch
from styletransfer.weights import load_inception, load_lpips, load_vgg

GOLDEN = Path(__file__).parent / "golden"
SIDE = 48
EXTRACTORS = {role: PINS[name] for role, name in BY_ROLE.items()}
KEYS = ("ssim", "cfsd", "kid", "mifid", "fid_clean", "content", "lpips", "artfid")


def make_image(seed: int) -> Image:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(20, 236, (SIDE // 8, SIDE // 8, 3))
    pixels = np.kron(blocks, np.ones((8, 8, 1), dtype=np.int64))
    return (pixels + rng.integers(-20, 20, (SIDE, SIDE, 3))).astype(np.uint8)


@pytest.fixture(name="references", scope="module")
def make_references() -> ReferenceImages:
    return ReferenceImages(
        contents=[make_image(seed) for seed in range(3)],
        styles=[make_image(seed) for seed in (10, 11)],
        pairs=[(0, 0), (1, 0), (2, 1), (0, 1)],
        reals=[make_image(seed) for seed in range(20, 25)],
        sha256="a" * 64,
    )


@pytest.fixture(name="outputs", scope="module")
def make_outputs() -> list[Image]:
    return [make_image(seed) for seed in range(30, 34)]


def make_scorer(references: ReferenceImages, cache: Path | None = None) -> Scorer:
    recipe = Recipe(metrics=KEYS)
    return Scorer(recipe, references, EXTRACTORS, cache_dir=cache)


def test_each_is_the_value_of_its_definition(
    references: ReferenceImages, outputs: list[Image], tmp_path: Path
) -> None:
    card = make_scorer(references, tmp_path).score(outputs, checkpoint_sha256="c")
    assert list(card.scores) == list(KEYS)
    contents = [references.contents[content] for content, _ in references.pairs]
    vgg, _ = load_vgg(VGG)
    for number, (content, output) in enumerate(zip(contents, outputs, strict=True)):
        pair = to_batch([content]), to_batch([output])
        assert card.per_pair["ssim"][number] == pytest.approx(ssim(*pair).item(), rel=1e-12)
        maps = [vgg.features(each, ["relu4_2"])["relu4_2"] for each in pair]
        assert card.per_pair["cfsd"][number] == pytest.approx(cfsd(*maps).item(), rel=1e-6)
    network, _ = load_inception(INCEPTION)
    made, real = (network.features(images).numpy() for images in (outputs, references.reals))
    assert card.scores["kid"].value == pytest.approx(kernel_distance(made, real), rel=1e-9)
    assert card.scores["mifid"].value == pytest.approx(mifid(made, real), rel=1e-9)
    judge, _ = load_lpips(LPIPS)
    expected = [
        judge(to_batch([output]), to_batch([content])).item()
        for content, output in zip(contents, outputs, strict=True)
    ]
    assert card.per_pair["lpips"] == pytest.approx(expected, rel=1e-6)
    fid = frechet_distance(
        FeatureStatistics.from_features(made), FeatureStatistics.from_features(real)
    )
    found = card.scores["artfid"]
    assert found.value == pytest.approx((1 + np.mean(expected)) * (1 + fid), rel=1e-6)
    assert (found.low, found.high) == (None, None)
    pins = card.provenance["extractors"]
    stand_in = {**PINS[LPIPS].to_json(), "is_surrogate": True, "files": {}}
    assert pins["lpips"] == stand_in
    assert list(pins) == ["vgg", "inception", "lpips"]
    made, real = (network.clean_features(images).numpy() for images in (outputs, references.reals))
    clean = frechet_distance(
        FeatureStatistics.from_features(made), FeatureStatistics.from_features(real)
    )
    assert card.scores["fid_clean"].value == pytest.approx(clean, rel=1e-9)


def test_identity_keeps_all_structure(references: ReferenceImages) -> None:
    same = [references.contents[content] for content, _ in references.pairs]
    card = make_scorer(references).score(same, checkpoint_sha256="c")
    assert card.per_pair["cfsd"] == [0.0] * len(same)
    assert card.per_pair["lpips"] == [0.0] * len(same)
    assert card.per_pair["ssim"] == pytest.approx([1.0] * len(same), rel=1e-12)


def test_scores_do_not_depend_on_whether_features_were_cached(
    references: ReferenceImages, outputs: list[Image], tmp_path: Path
) -> None:
    fresh = make_scorer(references).score(outputs, checkpoint_sha256="c")
    for _ in range(2):  # the first fills the cache
        cached = make_scorer(references, tmp_path).score(outputs, checkpoint_sha256="c")
        assert cached.scores_sha256 == fresh.scores_sha256
    names = sorted(path.name.partition("-")[0] for path in tmp_path.iterdir())
    assert names == ["fid", "fid", "lpips", "vgg"]  # one of each preparation


def test_another_weight_file_makes_another_cache_of_lpips(references: ReferenceImages) -> None:
    keys = {lpips_key(references, sha256) for sha256 in ("1" * 64, "2" * 64)}
    assert len(keys) == 2
    assert lpips_key(replace(references, sha256="b" * 64), "1" * 64) not in keys


def test_artfid_alone_measures_what_it_takes(
    references: ReferenceImages, outputs: list[Image]
) -> None:
    whole = make_scorer(references).score(outputs, checkpoint_sha256="c")
    alone = Scorer(Recipe(metrics=("artfid",)), references, EXTRACTORS)
    card = alone.score(outputs, checkpoint_sha256="c")
    assert card.scores == {"artfid": whole.scores["artfid"]}
    assert card.per_pair == {}


def test_values_and_intervals_keep_to_what_the_table_of_metrics_says(
    references: ReferenceImages, outputs: list[Image]
) -> None:
    card = make_scorer(references).score(outputs, checkpoint_sha256="c")
    for key, score in card.scores.items():
        spec = METRICS[key]
        assert spec.low is None or score.value >= spec.low
        assert spec.high is None or score.value <= spec.high
        assert (score.low is None) == (spec.interval == "none")
        if spec.interval == "confidence":
            assert score.low is not None
            assert score.high is not None
            assert score.low <= score.value <= score.high


def test_a_recipe_that_asks_for_nothing_special_has_the_hash_it_always_had() -> None:
    # Phases are in force under this hash: a new metric may not change it.
    assert Recipe().sha256() == "8a17e11fdb1a72bb5280267358d434428434ee4452898b3ed182e7cc565a3e93"
    assert Recipe(metrics=KEYS).sha256() != Recipe().sha256()
    assert replace(Recipe(), alpha=2).sha256() != Recipe().sha256()


def test_resizing_is_clean_fids() -> None:
    # Made by clean-fid 0.1.35's "clean" resizer; every 23rd pixel of each line and column.
    with np.load(GOLDEN / "clean_resize.npz") as golden:
        rng = np.random.default_rng(int(golden["seed"]))
        for side, name in zip(golden["sides"], ("exp_small", "exp_large"), strict=True):
            image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
            found = resize_bicubic(image, side=299)
            assert found.dtype == np.float32
            assert found.shape == (299, 299, 3)
            # Pillow's own arithmetic: equal but for the last bits of a float32.
            np.testing.assert_allclose(found[::23, ::23], golden[name], rtol=0, atol=1e-3)


def test_a_resample_has_the_kernel_distance_of_its_rows() -> None:
    rng = np.random.default_rng(1)
    outputs, references = rng.normal(1, 1, size=(9, 40)), rng.normal(size=(14, 40))
    rows = draw_indices(9, seed=5, resamples=1)
    value, low, high = bootstrap_kernel(outputs, references, indices=rows)
    assert value == pytest.approx(kernel_distance(outputs, references), rel=1e-12)
    resampled = kernel_distance(outputs[rows[0]], references)
    assert low == high == pytest.approx(resampled, rel=1e-10)
