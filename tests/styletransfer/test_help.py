"""Help comes at once: no command needs torch to say what it does."""

import argparse
import subprocess
import sys

import pytest

from styletransfer.commands.main import main, make_parser

HEAVY = ("torch", "onnxruntime", "onnx", "pydantic", "av", "tensorboard")


def list_commands() -> list[str]:
    (choices,) = (
        action.choices
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return list(choices)


def test_no_help_imports_torch_or_anything_else_that_is_large() -> None:
    program = f"""
import contextlib, io, sys
from styletransfer.commands.main import main
for command in {list_commands()!r}:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
        main([command, "--help"])
    assert "usage:" in said.getvalue(), command
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, f"{{command}} --help imports {{loaded}}"
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", list_commands())
def test_every_command_shows_an_example_and_refuses_flags_it_does_not_know(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "example" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([command, "--no-such-flag"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["fid", "a", "b", "--threads", "0"],
        ["fid", "a", "b", "--threads", "many"],
        ["score", "--threads", "-1"],
        ["submit", "--phase", "0"],
        ["stylize", "a.png", "--tile", "0"],
        ["stylize", "a.png", "--overlap", "-3"],
        ["export", "a.pth", "--size", "0x3"],
        ["export", "a.pth", "--size", "wide"],
    ],
)
def test_numbers_that_can_not_be_meant_are_refused_by_name(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert f"argument {arguments[-2]}" in capsys.readouterr().err
