"""docs/operators.md says what the code does: its settings, defaults, commands, links and words."""

import ast
import re
import shlex
from collections.abc import Iterator

from django.core.management import get_commands

from arena import env, launch
from competitions.mail_delivery import PAUSES
from evaluation.sandbox import slots
from tests.composing import composition, own_services
from tests.variables import READERS, ROOT, named_in_the_code

DOC = ROOT / "docs" / "operators.md"
TEXT = DOC.read_text()
SETTINGS = ROOT / "platform" / "arena" / "settings.py"


def rows() -> dict[str, list[str]]:
    """Return the settings table: name, default and meaning by name."""
    table = TEXT.split("\n## Settings\n")[1].split("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {name: found for found in cells for name in re.findall(r"`(\w+)`", found[0].strip("¹ "))}


def readings() -> Iterator[tuple[str, str, str]]:
    """Yield reader, name and default of each variable that settings.py reads with a plain one."""
    for node in ast.walk(ast.parse(SETTINGS.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=reader), args=[ast.Constant(value=str(name)), *rest]):
                given = [*rest, *(word.value for word in node.keywords if word.arg == "default")]
                if reader in READERS and given and isinstance(given[0], ast.Constant):
                    yield reader, name, str(given[0].value)


def test_the_table_has_every_variable_that_the_code_reads_and_no_other() -> None:
    assert set(rows()) == named_in_the_code()


def test_the_table_has_the_defaults_of_the_code() -> None:
    table = rows()
    seen = set()
    for reader, name, default in readings():
        shown = table[name][1]
        expected = default.lower() if reader == "env_bool" else f"`{default}`"
        assert shown.startswith(expected), f"{name} is {expected} by default"
        seen.add(name)
    assert len(seen) >= 15, "the defaults are read in another way now"


def test_the_table_marks_what_can_be_in_a_file() -> None:
    secrets = {
        name
        for node in ast.walk(ast.parse(SETTINGS.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == env.env_secret.__name__
        for name in [ast.literal_eval(node.args[0])]
    }
    assert {name for name, row in rows().items() if "¹" in row[0]} == secrets


def test_the_composition_sets_nothing_that_is_not_in_the_table() -> None:
    known = set(rows())
    for name in own_services():
        for variable in composition()["services"][name]["environment"]:
            assert variable.removesuffix("_FILE") in known


def test_every_management_command_exists() -> None:
    named = set(re.findall(r"manage\.py (\w+)", TEXT))
    assert named
    assert named <= set(get_commands())


def test_every_link_and_path_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert target.startswith("http") or (DOC.parent / target).exists(), target
    for path in re.findall(r"\b((?:evaluation|deploy|tests|docs)/[\w./-]+)", TEXT):
        assert (ROOT / path).exists(), path


def test_the_workers_command_is_the_launchers() -> None:
    found = re.search(r"`\.venv/bin/python (-m celery[^`]*)`", TEXT)
    assert found is not None
    started = list(launch.worker("evaluation").command)
    left_out = {"--quiet", "--loglevel", "INFO"}
    expected = [word for word in started[started.index("-m") :] if word not in left_out]
    assert shlex.split(found[1]) == expected


def test_figures_in_the_text_are_the_codes() -> None:
    minutes = [int(pause.total_seconds()) // 60 for pause in PAUSES]
    assert minutes == [1, 5, 15, 60, 240, 720, 1440, 1440]
    assert "1, 5 and 15 minutes, then 1, 4, 12, 24 and 24 hours" in " ".join(TEXT.split())
    last = slots.FIRST_UID + slots.COUNT - 1
    assert f"from {slots.FIRST_UID} to {last}" in TEXT
