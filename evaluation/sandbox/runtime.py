"""Find what an interpreter inside the sandbox needs from this machine, wherever it lies here.

Inside, everything has one fixed place, so that nothing depends on the distribution, on pyenv or on
where the virtual environment is::

    /opt/python/bin, /opt/python/lib   the interpreter and its standard library
    /opt/packages/0, 1, ...            the folders that torch, numpy, ... are installed in
    /opt/lib                           shared libraries that are not in one of these
    /opt/arena                         the runner, what confines it, and `styletransfer`

Not there: the project, /etc, /usr/bin, /home. There is no shell to run.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from evaluation.sandbox.confining import STAGE_2
from evaluation.sandbox.values import SandboxUnavailable

INTERPRETER = "/opt/python/bin/python3"
LIBRARIES = "/opt/lib"
RUNNER = "/opt/arena/runner.py"
_MODULES = "/opt/arena/evaluation/sandbox"

_HERE = Path(__file__).parent
# The packages whose shared libraries decide what else is needed; pure Python comes along anyway.
_PACKAGES = ("torch", "numpy", "onnxruntime", "onnx", "safetensors", "pydantic", "pydantic_core")
_MORE_BINARIES = ("numpy.libs", "google", "ml_dtypes")
# Standard modules for terminals and windows: nothing inside has a use for them.
_UNUSED = re.compile(r"_tkinter|_curses|readline|_dbm|_gdbm|nis|_test|xx|_ctypes_test")
_RESOLVED = re.compile(r"^\t(?P<name>\S+) => (?P<path>/.+) \(0x[0-9a-f]+\)$")
_LOADER = re.compile(r"^\t(?P<path>/.+) \(0x[0-9a-f]+\)$")


@dataclass(frozen=True)
class Bind:
    """One read-only file or folder: where it is on this machine and where it is inside."""

    source: Path
    target: str


@dataclass(frozen=True)
class Runtime:
    """Everything that is bound into a sandbox."""

    binds: tuple[Bind, ...]
    import_path: tuple[str, ...]
    """Folders inside that the runner adds to ``sys.path``."""


def find_runtime(runner: Path, beside: tuple[Path, ...] = ()) -> Runtime:
    """Collect the binds for ``runner``; slow only the first time in a process.

    Raises:
        SandboxUnavailable: a package that the runner imports is not installed.
    """
    binds, import_path = _interpreter()
    modules = (_HERE / "confining.py", *beside)
    return Runtime(
        binds=(
            *binds,
            Bind(runner.resolve(), RUNNER),
            *(Bind(module, f"{_MODULES}/{module.name}") for module in modules),
            Bind(_HERE / "filters" / "stage2.x86_64.bpf", STAGE_2),
            Bind(_folder_of("styletransfer"), "/opt/arena/styletransfer"),
        ),
        import_path=("/opt/arena", *import_path),
    )


@functools.cache
def _interpreter() -> tuple[list[Bind], list[str]]:
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    folders = _package_folders()
    inside = [f"/opt/packages/{i}" for i in range(len(folders))]
    binds = [Bind(executable, INTERPRETER), *_standard_library()]
    binds += [Bind(folder, target) for folder, target in zip(folders, inside, strict=True)]
    known = [bind.source for bind in binds]
    return binds + _shared_libraries(executable, _binaries(folders), known), inside


def _standard_library() -> list[Bind]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = {"installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
    pure = Path(sysconfig.get_path("stdlib", vars=base)).resolve()
    binary = Path(sysconfig.get_path("platstdlib", vars=base | {"platbase": sys.base_exec_prefix}))
    binds = [Bind(pure, f"/opt/python/lib/{version}")]
    # Fedora and openSUSE keep extension modules apart, in lib64.
    if sys.platlibdir != "lib" and binary.is_dir():
        binds.append(Bind(binary.resolve(), f"/opt/python/{sys.platlibdir}/{version}"))
    return binds


def _package_folders() -> list[Path]:
    folders = [_folder_of(name).parent for name in _PACKAGES]
    return list(dict.fromkeys(folders))


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise SandboxUnavailable(f"The Python package {package} is not installed. Install it.")
    return Path(spec.submodule_search_locations[0]).resolve()


def _binaries(folders: list[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        for name in (*_PACKAGES, *_MORE_BINARIES):
            found += (folder / name).rglob("*.so*")
    for bind in _standard_library():
        modules = (bind.source / "lib-dynload").glob("*.so")
        found += [module for module in modules if not _UNUSED.match(module.name)]
    return [path for path in found if path.is_file()]


def _shared_libraries(executable: Path, binaries: list[Path], known: list[Path]) -> list[Bind]:
    """Ask the loader, on this machine, for what all binaries need, directly or not."""
    try:
        answer = subprocess.run(  # noqa: S603 - our own installed files
            ["/usr/bin/ldd", executable, *binaries],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable(f"Can't ask ldd for shared libraries: {error}") from error
    found: dict[str, Path] = {}
    for line in answer.stdout.splitlines():
        if match := _RESOLVED.match(line):
            path = Path(match["path"]).resolve()
            # What lies in a bound folder is found there, by the same relative path as outside.
            if not any(path.is_relative_to(folder) for folder in known):
                found.setdefault(f"{LIBRARIES}/{match['name']}", path)
        elif match := _LOADER.match(line):
            found.setdefault(match["path"], Path(match["path"]).resolve())
    return [Bind(path, target) for target, path in sorted(found.items())]
