"""The likely cause is told where there is one, and nowhere else."""

from typing import Any

import pytest

from submissions.causes import cause_of
from submissions.failures import CODES, EXPORT, Failure

SHORT = {"expected": [1, 3, 250, 250], "found": [1, 3, 248, 248]}


@pytest.mark.parametrize(
    ("code", "facts", "words"),
    [
        ("output_shape", SHORT, "multiples of 8"),
        ("output_shape", {"expected": [1, 3, 251, 333], "found": [1, 3, 248, 332]}, "of 4 or so"),
        ("output_shape", {"expected": [1, 3, 64, 64], "found": [1, 3, 192, 192]}, "enlarge"),
        ("output_shape", {"expected": [1, 3, 64, 64], "found": [1, 4, 64, 64]}, "alpha"),
        ("wrong_shapes", {"fits": "transformer_net (width 16)"}, "transformer_net (width 16)"),
        ("wrong_keys", {"fits": "adain (width 64)"}, "adain (width 64)"),
        ("wrong_keys", {"missing_count": 0}, "other networks"),
        ("wrong_keys", {"known": ["adain", "unet_generator"]}, "adain, unet_generator. Export"),
        ("non_finite_output", {}, "another range"),
        ("generator_crashed", {"message": "Got invalid dimensions for input"}, "fixed"),
        ("corrupt_file", {"reason": "truncated"}, "break off"),
        ("not_a_checkpoint", {"kind": "git_lfs_pointer"}, "git lfs pull"),
        ("not_a_checkpoint", {"kind": "html"}, "log-in page"),
    ],
)
def test_the_likely_cause_is_told(code: str, facts: dict[str, Any], words: str) -> None:
    failure = Failure(code, facts)
    assert words in failure.cause
    assert failure.to_json()["cause"] == failure.cause


def test_whatever_the_facts_are_a_cause_is_a_text() -> None:
    odd: tuple[Any, ...] = (None, "x", 3, [], [1, 2], [1, 3, None, 4], ["a"] * 4, {}, True)
    for code in CODES:
        for expected in odd:
            for found in odd:
                facts = {"expected": expected, "found": found, "message": found, "kind": found}
                assert isinstance(cause_of(code, facts), str)


@pytest.mark.parametrize(
    "code", ["format_refused", "not_a_checkpoint", "pickled_objects", "unknown_architecture"]
)
def test_three_lines_of_python_show_the_way_out(code: str) -> None:
    example = Failure(code, {"kind": "torchscript"}).to_json()["example"]
    assert example == EXPORT
    assert len(example.splitlines()) == 3
    compile(example, "example", "exec")
    assert "torch.onnx.export" in example
    assert "save_file" in example


def test_nothing_is_added_where_nothing_helps() -> None:
    assert set(Failure("too_slow", {"limit_s": 3}).to_json()) == {"code", "detail"}
