from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from evaluation.demo import baselines
from evaluation.demo.baselines import Baseline
from styletransfer.manifest import Manifest

Pictures = dict[str, NDArray[np.float32]]


@pytest.fixture
def pictures() -> Pictures:
    rng = np.random.Generator(np.random.PCG64(3))
    shape = (1, 3, 24, 20)
    return {name: rng.integers(0, 256, shape).astype(np.float32) for name in ("content", "style")}


def run(baseline: Baseline, pictures: Pictures) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(baseline.checkpoint, providers=["CPUExecutionProvider"])
    names = [image["name"] for image in baseline.manifest["inputs"]]
    assert [image.name for image in session.get_inputs()] == names
    output: NDArray[np.float32]
    (output,) = session.run(None, {name: pictures[name] for name in names})
    return output


def test_identity_returns_the_content_exactly(pictures: Pictures) -> None:
    output = run(baselines.identity_baseline(), pictures)
    assert np.array_equal(output, pictures["content"])


def test_style_paste_returns_the_style_exactly(pictures: Pictures) -> None:
    output = run(baselines.style_paste_baseline(), pictures)
    assert np.array_equal(output, pictures["style"])


@pytest.mark.parametrize("make", [baselines.identity_baseline, baselines.style_paste_baseline])
def test_the_graphs_are_tiny_and_their_manifests_valid(make: Callable[[], Baseline]) -> None:
    baseline = make()
    assert len(baseline.checkpoint) < 1000
    assert baseline.checkpoint == make().checkpoint
    assert Manifest.model_validate(baseline.manifest).roles()[0] == "content"
