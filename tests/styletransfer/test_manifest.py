import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from styletransfer.manifest import Fixed, Manifest

WEIGHTS: dict[str, Any] = {
    "format": "safetensors",
    "architecture": "transformer_net",
    "parameters": {"width": 16},
    "inputs": [{"role": "content", "name": "content"}],
    "input_range": "0..255",
    "output_range": "0..255",
    "channel_order": "RGB",
    "size": {"multiple_of": 4},
}
GRAPH: dict[str, Any] = WEIGHTS | {"format": "onnx", "architecture": None, "parameters": {}}
TWO_INPUTS = [{"role": "content", "name": "content"}, {"role": "style", "name": "style"}]


def refusal(manifest: dict[str, Any]) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(manifest)
    return caught.value


def test_the_contract_s_example_is_accepted_for_both_formats() -> None:
    assert Manifest.model_validate(WEIGHTS).parameters == {"width": 16}
    graph = Manifest.model_validate(GRAPH | {"inputs": TWO_INPUTS, "size": {"fixed": [256, 320]}})
    assert graph.roles() == ("content", "style")
    assert graph.size == Fixed(fixed=(256, 320))


def test_inputs_may_come_in_any_order() -> None:
    assert Manifest.model_validate(GRAPH | {"inputs": TWO_INPUTS[::-1]}).roles() == (
        "style",
        "content",
    )


def test_an_unknown_architecture_is_told_to_export_to_onnx() -> None:
    error = refusal(WEIGHTS | {"architecture": "fst_net", "parameters": {}})
    assert error.errors()[0]["type"] == "unknown_architecture"
    assert "Export the generator to ONNX" in error.errors()[0]["msg"]
    assert "transformer_net" in error.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"architecture": None}, "architecture_missing"),
        ({"parameters": {"depth": 3}}, "unknown_parameter"),
        ({"parameters": {"width": 0}}, "parameter_out_of_range"),
        ({"parameters": {"width": 10**9}}, "parameter_out_of_range"),
        ({"parameters": {"width": 16.5}}, "int_type"),
        ({"parameters": {"width": True}}, "int_type"),
        (
            {"architecture": "resnet_generator", "parameters": {"blocks": 7}},
            "parameter_out_of_range",
        ),
        ({"inputs": TWO_INPUTS}, "wrong_number_of_inputs"),
        ({"inputs": []}, "too_short"),
        ({"inputs": [*TWO_INPUTS, {"role": "style", "name": "more"}]}, "too_long"),
        ({"inputs": [{"role": "style", "name": "style"}]}, "no_content_input"),
        ({"inputs": [TWO_INPUTS[0], {"role": "content", "name": "b"}]}, "repeated_role"),
        ({"inputs": [TWO_INPUTS[0], {"role": "style", "name": "content"}]}, "repeated_name"),
        ({"inputs": [{"role": "content", "name": ""}]}, "string_too_short"),
        ({"inputs": [{"role": "mask", "name": "mask"}]}, "literal_error"),
        ({"size": {"multiple_of": 0}}, "greater_than_equal"),
        ({"size": {"multiple_of": 65}}, "less_than_equal"),
        ({"size": {"fixed": [256]}}, "missing"),
        ({"size": {"fixed": [256, 256], "multiple_of": 4}}, "extra_forbidden"),
        ({"input_range": "0..1000"}, "literal_error"),
        ({"channel_order": "GBR"}, "literal_error"),
        ({"format": "pickle"}, "literal_error"),
        ({"licence": "MIT"}, "extra_forbidden"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], kind: str) -> None:
    assert kind in {error["type"] for error in refusal(WEIGHTS | change).errors()}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"architecture": "transformer_net"}, "architecture_not_for_onnx"),
        ({"parameters": {"width": 16}}, "parameters_not_for_onnx"),
    ],
)
def test_an_onnx_file_names_no_architecture(change: dict[str, Any], kind: str) -> None:
    assert refusal(GRAPH | change).errors()[0]["type"] == kind


@pytest.mark.parametrize("left_out", ["format", "input_range", "output_range"])
def test_what_cannot_be_guessed_must_be_given(left_out: str) -> None:
    incomplete = {key: value for key, value in WEIGHTS.items() if key != left_out}
    assert refusal(incomplete).errors()[0]["type"] == "missing"


def test_manifests_that_mean_the_same_have_the_same_canonical_json() -> None:
    sparse = {
        key: WEIGHTS[key] for key in ("format", "architecture", "input_range", "output_range")
    }
    full = WEIGHTS | {"parameters": {"width": 32}}
    assert Manifest.model_validate(sparse) == Manifest.model_validate(full)
    text = Manifest.model_validate(sparse).canonical_json()
    assert text == Manifest.model_validate(dict(reversed(full.items()))).canonical_json()
    assert '"parameters":{"width":32}' in text
    assert json.loads(text) == full
    assert Manifest.model_validate_json(text).canonical_json() == text


def test_a_pickle_is_a_format_a_manifest_may_name() -> None:
    assert Manifest.model_validate(WEIGHTS | {"format": "state_dict"}).format == "state_dict"


def test_the_web_tier_s_modules_load_no_torch() -> None:
    script = (
        "import sys, styletransfer.manifest, styletransfer.sniff, styletransfer.images,"
        " styletransfer.inference, styletransfer.safetensors_file\n"
        "print([name for name in ('torch', 'onnxruntime', 'onnx') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr
