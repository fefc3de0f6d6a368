"""What is wrong with a manifest is said in the reader's language, whatever it is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils.translation import override

import styletransfer.manifest
from arena.catalogues import compile_stale, find_folder
from competitions.errors import Invalid
from submissions.manifest_texts import KINDS
from submissions.services import read_manifest

GOOD: dict[str, Any] = {
    "format": "safetensors",
    "architecture": "transformer_net",
    "input_range": "0..1",
    "output_range": "0..1",
}
ONNX = {**GOOD, "format": "onnx", "architecture": None}
STYLE = {"role": "style", "name": "style"}
CONTENT = {"role": "content", "name": "content"}
MANY = {f"p{number}": number for number in range(17)}

# (manifest, the field that is wrong, a word of the English sentence)
BAD = {
    "a field that is not there": (
        {"format": "onnx", "output_range": "0..1"},
        "input_range",
        "is missing",
    ),
    "a field too many": ({**GOOD, "extra": 1}, "extra", "spelling"),
    "another range": ({**GOOD, "input_range": "0..2"}, "input_range", "0..1, -1..1, 0..255"),
    "no whole number": ({**GOOD, "parameters": {"width": 1.5}}, "parameters.width", "whole"),
    "too small": ({**ONNX, "size": {"multiple_of": 0}}, "size.multiple_of.multiple_of", "least 1"),
    "too large": ({**ONNX, "size": {"fixed": [9999, 4]}}, "size.fixed.fixed.0", "most 8192"),
    "half a size": ({**ONNX, "size": {"fixed": [64]}}, "size.fixed.fixed.1", "missing"),
    "three sides": ({**ONNX, "size": {"fixed": [64, 64, 64]}}, "size.fixed.fixed", "most 2"),
    "no list of sides": ({**ONNX, "size": {"fixed": 64}}, "size.fixed.fixed", "list"),
    "no object": ({**ONNX, "size": 4}, "size.multiple_of", "object"),
    "no text": ({**GOOD, "architecture": 5}, "architecture", "text"),
    "an empty name": ({**ONNX, "inputs": [{**CONTENT, "name": ""}]}, "inputs.0.name", "empty"),
    "a long name": ({**ONNX, "inputs": [{**CONTENT, "name": "x" * 201}]}, "inputs.0.name", "200"),
    "a line break": ({**ONNX, "inputs": [{**CONTENT, "name": "a\nb"}]}, "inputs.0.name", "break"),
    "no inputs": ({**ONNX, "inputs": []}, "inputs", "at least 1 entries, not 0"),
    "three inputs": ({**ONNX, "inputs": [CONTENT, STYLE, STYLE]}, "inputs", "at most 2"),
    "many parameters": ({**GOOD, "parameters": MANY}, "parameters", "at most 16"),
    "no parameters": ({**GOOD, "parameters": 3}, "parameters", "object"),
    "a list": ([], "", "object"),
    "broken JSON": ('{"format": oops', "", "line 1, column 12"),
    "style only": ({**ONNX, "inputs": [STYLE]}, "", "role content"),
    "two contents": ({**ONNX, "inputs": [CONTENT, {**CONTENT, "name": "b"}]}, "", "same role"),
    "one name": ({**ONNX, "inputs": [CONTENT, {**STYLE, "name": "content"}]}, "", "same name"),
    "no architecture": ({**GOOD, "architecture": None}, "", "needs an architecture: adain"),
    "one too many": ({**GOOD, "format": "onnx"}, "", "set architecture to null"),
    "ONNX with a width": ({**ONNX, "parameters": {"width": 4}}, "", "leave parameters empty"),
    "a wrong parameter": ({**GOOD, "parameters": {"depth": 4}}, "", 'no parameter "depth"'),
    "a wide width": ({**GOOD, "parameters": {"width": 500}}, "", "1 to 128, not 500"),
    "a choice": (
        {**GOOD, "architecture": "resnet_generator", "parameters": {"blocks": 7}},
        "",
        "one of 6, 9, not 7",
    ),
    "two images": ({**GOOD, "inputs": [CONTENT, STYLE]}, "", "takes: 1; the manifest lists 2"),
}


def problem_of(manifest: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_manifest(manifest)
    assert caught.value.code == "bad_manifest"
    problem: dict[str, str] = caught.value.facts["errors"][0]
    assert problem["detail"] in str(caught.value)
    return problem


@pytest.fixture
def chinese() -> Iterator[None]:
    compile_stale(find_folder())
    with override("zh-hans"):
        yield


@pytest.mark.parametrize("name", BAD)
def test_each_problem_is_a_sentence_of_ours(name: str) -> None:
    manifest, field, word = BAD[name]
    problem = problem_of(manifest)
    assert problem["field"] == field
    assert word in problem["detail"]
    assert problem["detail"].endswith(".")
    assert "{" not in problem["detail"]


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("name", BAD)
def test_each_problem_is_told_in_chinese(name: str) -> None:
    detail = problem_of(BAD[name][0])["detail"]
    assert detail.endswith("。")
    assert not re.search(r"\b(the|must|may|this|is)\b", detail, re.IGNORECASE), detail


def test_every_check_of_the_core_has_its_sentence() -> None:
    source = Path(styletransfer.manifest.__file__).read_text()
    kinds = set(re.findall(r'PydanticCustomError\(\s*"(\w+)"', source))
    assert len(kinds) > 5
    # That one is told as the failures of checkpoints are, by submissions.failures.
    assert kinds - {"unknown_architecture"} <= KINDS
