"""What the layout of the repository promises, and one stray file or import would undo."""

import hashlib
import importlib.util
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "static" / "vendor"
PACKAGES = ("platform", "competitions", "submissions", "evaluation", "styletransfer")
# For each import contract of pyproject.toml a line that breaks it, and where.
PLANTED = {
    "Django apps point one way": ("competitions", "import submissions.models"),
    "The torch core knows nothing of the web": ("styletransfer", "import django.db"),
    "The web tier never loads torch": ("submissions", "import torch"),
    "Only the runner drives the core": ("evaluation", "import styletransfer.scoring"),
}
HEAVY = ("torch", "torchvision", "onnxruntime", "onnx", "scipy", "skimage", "sklearn")
# What a web process that nobody has sent a submission does without; a small site has it installed.
NOT_FOR_PAGES = (
    *(
        *HEAVY,
        "numpy",
        "PIL",
        "safetensors",
        "cryptography",
        "fido2",
        "requests",
        "rich",
        "pygments",
    ),
    *("yaml", "greenlet", "celery", "kombu", "redis", "psycopg2", "boto3", "jsonschema", "qrcode"),
)


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_platform_is_the_standard_library() -> None:
    assert platform.__file__ is not None
    assert Path(platform.__file__).parent == Path(sysconfig.get_path("stdlib"))
    assert platform.system()


def test_platform_folder_holds_only_the_project_package() -> None:
    found = {path.name for path in (ROOT / "platform").iterdir() if path.name != "__pycache__"}
    assert found == {"arena"}


def test_platform_survives_a_child_interpreter_started_in_the_root() -> None:
    assert run_python("import platform; print(platform.system())") == platform.system()


def test_platform_survives_spawned_workers() -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(platform.system).result(timeout=60) == platform.system()


def test_no_folder_within_tests_is_a_package() -> None:
    # tests/evaluation/__init__.py would make `import evaluation` find the tests.
    assert not list((ROOT / "tests").glob("*/**/__init__.py"))


def test_child_processes_find_these_tests_whatever_is_installed() -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        found = pool.submit(importlib.util.find_spec, "tests.factories").result(timeout=60)
    assert found is not None
    assert found.origin == str(ROOT / "tests" / "factories.py")


@pytest.mark.parametrize("module", ["arena.wsgi", "arena.urls", "evaluation.services"])
def test_the_web_process_never_loads_torch(module: str) -> None:
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'arena.settings';"
        "sys.path[:0] = ['.', 'platform'];"
        f"import django; django.setup(); import {module};"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_a_web_process_loads_what_pages_need_and_no_more() -> None:
    code = (
        "import os, sys; sys.path[:0] = ['.', 'platform'];"
        "[os.environ.pop(name, None) for name in ('DATABASE_URL', 'REDIS_URL')];"
        "import arena.wsgi; from django.urls import get_resolver;"
        "assert get_resolver().url_patterns; import allauth.mfa.stages;"
        f"print([name for name in {NOT_FOR_PAGES!r} if sys.modules.get(name)])"
    )
    assert run_python(code) == "[]"


def test_every_import_contract_can_be_broken(tmp_path: Path) -> None:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package, line in PLANTED.values():
        (tmp_path / package / "planted.py").write_text(f"{line}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'platform'}"},
        capture_output=True,
        text=True,
    )
    contracts = [line for line in done.stdout.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    assert contracts == [f"{name} BROKEN" for name in PLANTED], done.stdout + done.stderr


def test_the_core_knows_no_web_framework() -> None:
    code = (
        "import sys; sys.path[:0] = ['.'];"
        "import styletransfer.score_card, styletransfer.errors, styletransfer.manifest;"
        "print([name for name in ('django', 'celery', 'torch') if name in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_vendored_files_are_the_ones_that_the_script_copied() -> None:
    listed = {}
    for line in (VENDOR / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert found == listed
