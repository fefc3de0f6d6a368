"""Which environment variables the platform reads, from its code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("platform", "competitions", "submissions", "evaluation", "styletransfer", "scripts")
READERS = {"env_str", "env_bool", "env_int", "env_list", "env_secret"}
# Read, but not ours to explain: what Python, Django, the shell or another program set.
OTHERS = {"DJANGO_SETTINGS_MODULE", "LD_LIBRARY_PATH", "PATH", "EUID", "PWD", "HOME"}
_IN_SHELL = re.compile(r"\$\{?([A-Z][A-Z0-9_]{2,})")


def named_in_the_code() -> set[str]:
    """Return the name of every variable that the project's code asks for."""
    found = set(_in_python()) | set(_in_shell())
    return found - OTHERS


def _in_python() -> Iterator[str]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                yield from _asked_for(node)


def _asked_for(node: ast.AST) -> Iterator[str]:
    """Yield the name in ``env_str(NAME)``, ``os.environ.get(NAME)`` and ``os.environ[NAME]``."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(asked)), *_]):
            if name in READERS:
                yield asked
        case ast.Call(
            func=ast.Attribute(value=source, attr="get" | "getenv"),
            args=[ast.Constant(value=str(asked)), *_],
        ) if _is_environ(source):
            yield asked
        case ast.Subscript(value=source, slice=ast.Constant(value=str(asked)), ctx=ast.Load()):
            if _is_environ(source):
                yield asked


def _is_environ(source: ast.AST) -> bool:
    return ast.unparse(source) in {"os.environ", "os", "environ"}


def _in_shell() -> Iterator[str]:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    for path in [*scripts, ROOT / "Makefile", ROOT / "deploy" / "make-secrets"]:
        text = path.read_text()
        if path.name == "Makefile":
            # Its own variables are written $(NAME); of the environment it takes what it exports.
            exported = re.findall(r"^export (.*)$", text, re.MULTILINE)
            yield from (name for line in exported for name in line.split())
        else:
            yield from _IN_SHELL.findall(text)
