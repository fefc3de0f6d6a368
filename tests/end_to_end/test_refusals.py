"""What is wrong with a generator is said in words, with a code, and loses nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.deployment import deployed
from tests.end_to_end.running_site import FAST_LEASES, SIZE, Site
from tests.evaluation.sandbox import graphs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("site") / "var", **FAST_LEASES) as deployment:
        yield Site(deployment)


def half_size(path: Path) -> Path:
    """Return a picture of half the height and width."""
    node = helper.make_node(
        "AveragePool", ["content"], ["output"], kernel_shape=[2, 2], strides=[2, 2]
    )
    return graphs.save(path, [node])


def for_another_size(path: Path) -> Path:
    graphs.identity(path)
    model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        for axis, side in ((2, SIZE * 2), (3, SIZE * 2)):
            value.type.tensor_type.shape.dim[axis].dim_value = side
    path.write_bytes(model.SerializeToString())
    return path


def unknown_operator(path: Path) -> Path:
    return graphs.save(path, [helper.make_node("Det", ["content"], ["output"])])


def infinite_weights(path: Path) -> Path:
    factor = np.full((1, 3, 1, 1), np.inf, np.float32)
    node = helper.make_node("Mul", ["content", "factor"], ["output"])
    return graphs.save(path, [node], weights={"factor": factor})


@pytest.mark.parametrize(
    ("make", "changes", "code", "says"),
    [
        (graphs.divide_by_zero, {}, "non_finite_output", "NaN"),
        (half_size, {}, "output_shape", str(SIZE)),
        (for_another_size, {}, "wrong_size", str(SIZE * 2)),
        (unknown_operator, {}, "unsupported_operator", "Det"),
        (infinite_weights, {}, "non_finite_weights", "factor"),
        (
            graphs.identity,
            {"inputs": [{"role": "content", "name": "picture"}]},
            "wrong_inputs",
            "picture",
        ),
    ],
)
def test_a_generator_that_can_not_be_used_is_rejected_before_it_queues(
    site: Site, tmp_path: Path, make: Any, changes: dict[str, Any], code: str, says: str
) -> None:
    path = make(tmp_path / "g.onnx")
    status, made = site.submit(path, {**graphs.manifest(), **changes})
    assert status == 201, made
    ended = site.wait_until_ended(made["id"])
    assert (ended["status"], ended["failure"]["code"]) == ("rejected", code), ended
    assert says in ended["failure"]["detail"]
    assert "Traceback" not in str(ended)


def test_a_generator_that_is_too_slow_for_all_pairs_fails_in_time(
    site: Site, tmp_path: Path
) -> None:
    # One picture passes the check with room to spare; 64 take far longer than is allowed for all.
    phase = site.add_phase(pairs=64, size=256, time_limit_s=3)
    slow = graphs.convolutions(tmp_path / "slow.onnx", channels=32, kernel=9)
    _, made = site.submit(slow, graphs.manifest(), phase=phase)
    ended = site.wait_until_ended(made["id"])
    assert (ended["status"], ended["failure"]["code"]) == ("failed", "too_slow"), ended
    assert "3" in ended["failure"]["detail"]


def test_a_rejected_submission_costs_nothing_and_may_come_again(site: Site, tmp_path: Path) -> None:
    phase = site.add_phase(quota_per_day=1)
    for _ in range(2):
        path = graphs.divide_by_zero(tmp_path / "nan.onnx")
        status, made = site.submit(path, graphs.manifest(), phase=phase)
        assert status == 201, made
        assert site.wait_until_ended(made["id"])["status"] == "rejected"
