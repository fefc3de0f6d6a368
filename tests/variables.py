"""Which environment variables the platform reads, from its code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("platform", "competitions", "submissions", "evaluation", "styletransfer", "scripts")
READERS = {"env_str", "env_bool", "env_int", "env_list", "env_secret"}
# Read, but not for operators: set by Python, Django, the shell or our own supervisor.
OTHERS = {
    "ARENA_DIE_WITH_PARENT",
    "DJANGO_SETTINGS_MODULE",
    "LD_LIBRARY_PATH",
    "PATH",
    "EUID",
    "PWD",
    "HOME",
    "PYTEST_XDIST_WORKER",
    "RANK",  # by torchrun
    "STYLEARENA_URL",  # in place of an option of the command line, as its help says
    "WORLD_SIZE",
}
_IN_SHELL = re.compile(r"\$\{?([A-Z][A-Z0-9_]{2,})")


def named_in_the_code() -> set[str]:
    """Return the name of every variable that the project's code or composition asks for."""
    found = set(_in_python()) | set(_in_shell()) | in_the_composition()
    return found - OTHERS


def in_the_composition() -> set[str]:
    """Return the variables that docker-compose.yml itself puts into places."""
    return set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))


def _in_python() -> Iterator[str]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = ast.parse(path.read_text())
            constants = dict(_constants(module))
            for node in ast.walk(module):
                for asked in _asked_for(node):
                    match asked:
                        case ast.Constant(value=str(name)):
                            yield name
                        case ast.Name(id=constant) if constant in constants:
                            yield constants[constant]


def _constants(module: ast.Module) -> Iterator[tuple[str, str]]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                yield name, text


def _asked_for(node: ast.AST) -> Iterator[ast.expr]:
    """Yield NAME of ``env_str(NAME)``, ``os.environ.get(NAME)`` and ``os.environ[NAME]``."""
    match node:
        case ast.Call(func=ast.Name(id=reader), args=[asked, *_]) if reader in READERS:
            yield asked
        case ast.Call(func=ast.Attribute(value=source, attr="get" | "getenv"), args=[asked, *_]):
            if _is_environ(source):
                yield asked
        case ast.Subscript(value=source, slice=asked, ctx=ast.Load()):
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
