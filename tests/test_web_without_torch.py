"""The web server's own packages are enough for everything but workers."""

import json
import os
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from arena.lifetime import die_with_parent
from tests.composing import command
from tests.deployment import ROOT, free_port

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = {"torch", "torchvision", "pytorch-fid", "onnx", "onnxruntime", "scipy", "safetensors"}
LOOK = """
import json, sys
from django.test import Client
from django.urls import reverse
from tests.factories import make_scored_submission, make_user
submission = make_scored_submission()
phase = submission.phase
client = Client()
client.force_login(make_user(is_staff=True, is_superuser=True))
paths = [
    "/", "/api/v1/competitions/", f"/api/v1/phases/{phase.pk}/leaderboard/",
    submission.get_absolute_url(), phase.competition.get_absolute_url(),
    reverse("pairs-zip", args=[phase.pk]),
    "/admin/", "/admin/evaluation/worker/", "/admin/competitions/competition/",
    "/metrics", "/readyz",
]
found = {path: client.get(path, headers={"host": "127.0.0.1"}).status_code for path in paths}
print(json.dumps([found, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def needed(requirements: list[str]) -> dict[str, str]:
    """Return the installed packages that some need, those that these need included."""
    found: dict[str, str] = {}
    waiting = [(text, "") for text in requirements]
    while waiting:
        text, extra = waiting.pop()
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        for each in ("", *wanted.extras):
            if f"{name}[{each}]" in found:
                continue
            found[f"{name}[{each}]"] = name
            try:
                further = distribution(name).requires or []
            except PackageNotFoundError:
                raise AssertionError(f"{name} is declared and not installed") from None
            waiting += [(requirement, each) for requirement in further]
    return found


@pytest.fixture(name="python", scope="module")
def environment_of_the_web_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a virtual environment of what pyproject.toml declares without extras, and no more."""
    folder = tmp_path_factory.mktemp("web") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    names = {*needed(PROJECT["dependencies"]).values(), "stylearena"}
    assert not names & HEAVY
    for name in names:
        for file in distribution(name).files or []:
            top = Path(file).parts[0]
            source = Path(str(distribution(name).locate_file(top)))
            if top != ".." and not top.endswith(".pth") and not (packages / top).exists():
                (packages / top).symlink_to(source)
    return folder / "bin" / "python"


@pytest.fixture(name="environment", scope="module")
def of_a_web_container(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    kept = {"HOME", "LANG", "TMPDIR"}
    return {name: value for name, value in os.environ.items() if name in kept} | {
        "PATH": str(python.parent),  # the image has no bubblewrap
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "ARENA_VAR": str(tmp_path_factory.mktemp("var")),
    }


@pytest.fixture(autouse=True, scope="module")
def _prepared(python: Path, environment: dict[str, str]) -> None:
    for step in (["migrate", "-v0"], ["collectstatic", "--no-input", "-v0"], ["prepare_storage"]):
        assert run(python, environment, *step)[0] == 0


def run(python: Path, environment: dict[str, str], *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [python, "-m", "django", *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "ModuleNotFoundError" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def test_pages_rest_admin_and_figures_answer(python: Path, environment: dict[str, str]) -> None:
    code, said = run(python, environment, "shell", "-v0", "-c", LOOK)
    assert code == 0
    found, modules = json.loads(said.splitlines()[-1])
    assert set(found.values()) == {200}, found
    assert not HEAVY & set(modules)


def test_the_sweeper_sweeps_and_the_doctor_looks_at_everything(
    python: Path, environment: dict[str, str]
) -> None:
    assert run(python, environment, "sweep", "--once")[0] == 0
    code, said = run(python, environment, "doctor", "--json")
    found = {each["check"]: each for each in json.loads(said)}
    assert {name for name, each in found.items() if not each["is_ok"]} == {"sandbox", "workers"}
    assert "no bubblewrap here" in found["sandbox"]["detail"]
    assert code == 1


@pytest.fixture
def served(python: Path, environment: dict[str, str]) -> Iterator[str]:
    port = str(free_port())
    words = [word.replace("8000", port).replace("/app", str(ROOT)) for word in command("web")]
    process = subprocess.Popen(
        [python, *words[1:]],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_the_services_own_command_serves(served: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{served}/readyz", timeout=5) as answer:
                assert json.load(answer)["status"] == "ok"
            break
        except urllib.error.URLError:
            assert time.monotonic() < end
            time.sleep(0.2)
    with urllib.request.urlopen(f"{served}/", timeout=20) as answer:
        assert b"StyleArena" in answer.read()


def test_the_command_line_says_what_to_install(
    python: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    trained = tmp_path / "trained.pth"
    trained.write_bytes(b"weights")
    words = [str(python), "-m", "styletransfer", "export", str(trained)]
    words += ["--out", str(tmp_path / "trained.safetensors")]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Run: pip install 'stylearena[scoring]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert sys.executable != str(python)
