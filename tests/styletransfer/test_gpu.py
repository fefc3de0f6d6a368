"""The same scores on a GPU as on the CPU. Runs where torch sees a GPU, and is skipped elsewhere."""

import pytest
import torch

from styletransfer.determinism import make_deterministic
from styletransfer.recipe import Recipe
from styletransfer.scoring import Scorer
from styletransfer.values import Image
from tests.styletransfer.test_output_meter import EXTRACTORS, METRICS, make_outputs, make_references

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")

AGREEMENT = 1e-4  # relative, on every metric
IDENTITY = 1e-6  # of the anchor: batches of another size than the references' were made in


def score(
    device: str, outputs: list[Image], metrics: tuple[str, ...] = METRICS
) -> dict[str, float]:
    make_deterministic(1)
    scorer = Scorer(
        Recipe(metrics=metrics),
        make_references(),
        EXTRACTORS,
        device=device,
    )
    card = scorer.score(outputs, checkpoint_sha256="c")
    return {key: score.value for key, score in card.scores.items()}


def test_every_metric_agrees_with_the_cpu() -> None:
    expected = score("cpu", make_outputs())
    assert score("cuda", make_outputs()) == pytest.approx(expected, rel=AGREEMENT)


def test_scoring_twice_gives_equal_bits() -> None:
    assert score("cuda", make_outputs()) == score("cuda", make_outputs())


def test_identity_has_hardly_any_content_loss() -> None:
    references = make_references()
    copies = [references.contents[content] for content, _ in references.pairs]
    found = score("cuda", copies, ("content", "content_relative"))
    assert found["content_relative"] <= IDENTITY
