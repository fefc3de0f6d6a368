"""A folder of files ends file by file as a check would end each; any folder can be tried.

    ARENA_HOSTILE_CORPUS=/folder pytest tests/hostile/test_folder.py

tries every file of a folder that nobody here has seen: each has to be accepted or refused with a
code, within seconds, and no fault of the platform. Where the folder has an ``expected.json``, a
table of code by name, each has to end with that code.
"""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from evaluation.sandbox.trying import ACCEPTED, FAULT
from styletransfer.errors import REFUSALS
from tests.hostile import onnx_graphs, pickle_cases, safetensors_cases
from tests.hostile.case import WEIGHTS

_EXPECTED = "expected.json"
_LONGEST_S = 90.0


def try_folder(folder: Path, **options: Any) -> dict[str, Any]:
    output = io.StringIO()
    call_command("try_files", str(folder), json=True, stdout=output, **options)
    said = [json.loads(line) for line in output.getvalue().splitlines()]
    return {each["file"]: each for each in said if each["file"] != _EXPECTED}


def test_each_file_of_a_folder_ends_as_its_check_would(tmp_path: Path) -> None:
    honest = safetensors_cases.honest()
    (tmp_path / "page.onnx").write_bytes(b"<html></html>")
    (tmp_path / "cut.safetensors").write_bytes(honest[:-1])
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "honest").write_bytes(onnx_graphs.written(onnx_graphs.model()))
    state_dict = pickle_cases.saved(pickle_cases.weights(), legacy=True)
    (tmp_path / "mine.pth").write_bytes(state_dict)
    wrong = WEIGHTS | {"format": "state_dict", "parameters": {"width": 3}}
    (tmp_path / "wide.pth").write_bytes(state_dict)
    (tmp_path / "wide.pth.manifest.json").write_text(json.dumps(wrong))
    found = try_folder(tmp_path, side=32)
    assert {name: each["code"] for name, each in found.items()} == {
        "page.onnx": "not_a_checkpoint",
        "cut.safetensors": "corrupt_file",
        "deeper/honest": ACCEPTED,
        "mine.pth": ACCEPTED,
        "wide.pth": "wrong_shapes",
    }
    assert found["mine.pth"]["facts"]["manifest"]["parameters"] == {"width": 2}
    assert found["mine.pth"]["facts"]["needed_bytes"] > 0
    assert found["wide.pth"]["facts"]["fits_parameters"] == [["width", 2]]
    assert "needs" in found["wide.pth"]["detail"]


def test_a_folder_without_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no file"):
        try_folder(tmp_path)


@pytest.mark.skipif(
    "ARENA_HOSTILE_CORPUS" not in os.environ, reason="ARENA_HOSTILE_CORPUS names no folder"
)
@pytest.mark.timeout(0)
def test_every_file_of_an_unknown_corpus_is_accepted_or_refused() -> None:
    folder = Path(os.environ["ARENA_HOSTILE_CORPUS"])
    expected = folder / _EXPECTED
    codes = json.loads(expected.read_text()) if expected.exists() else {}
    found = try_folder(folder)
    for name, each in found.items():
        print(f"{each['code']:22} {each['seconds']:7.2f} s  {name}")
    for name, each in found.items():
        assert each["code"] != FAULT, each
        assert each["code"] in {ACCEPTED, *REFUSALS}, each
        assert each["seconds"] < _LONGEST_S, each
        told = each["detail"].replace("\N{NO-BREAK SPACE}", " ")
        assert told.isprintable(), each
        assert bool(told) == (each["code"] != ACCEPTED)
        assert each["code"] == codes.get(name, each["code"]), each
