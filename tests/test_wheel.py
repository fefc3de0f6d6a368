"""The package as somebody installs it who has nothing of the repository."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

from evaluation.demo.baselines import identity_baseline
from styletransfer.images import encode_png
from styletransfer.surrogates import INCEPTION, VGG
from tests.deployment import ROOT


@pytest.fixture(name="home", scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it beside the libraries that are here, but not this checkout."""
    home = tmp_path_factory.mktemp("home")
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", home / "built", ROOT]
    pip(*build)
    (wheel,) = (home / "built").glob("stylearena-*.whl")
    venv.create(home / "venv", with_pip=False)
    (packages,) = (home / "venv" / "lib").glob("python*/site-packages")
    # A path in such a file is searched, but the files like it that lie there are not read: that
    # which makes the checkout importable is left out.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip("--python", home / "venv", "install", "--no-deps", "--no-index", wheel)
    for folder, numbers in (("photos", (1, 2)), ("paintings", (3,))):
        (home / folder).mkdir()
        for number in numbers:
            picture = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            (home / folder / f"{number}.png").write_bytes(encode_png(picture))
    (home / "identity.onnx").write_bytes(identity_baseline().checkpoint)
    return home


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run(home: Path, *command: object) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=home, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_scores_outside_the_repository(home: Path) -> None:
    folder = home / "venv" / "bin"
    where = run(
        home, folder / "python", "-c", "import styletransfer; print(styletransfer.__file__)"
    )
    assert str(home) in where
    options = ["--generator", "identity.onnx", "--content", "photos", "--style", "paintings"]
    options += ["--vgg", VGG, "--inception", INCEPTION]
    run(home, folder / "stylearena", "score", *options, "--out", "first.json")
    run(home, folder / "python", "-m", "styletransfer", "score", *options, "--out", "second.json")
    first, second = (
        json.loads((home / f"{name}.json").read_text()) for name in ("first", "second")
    )
    assert first["scores_sha256"] == second["scores_sha256"]
    assert first["provenance"]["libraries"]["stylearena"] != "not installed"
    table = run(home, folder / "stylearena", "compare", "first.json", "second.json")
    assert "no difference shown" in table
    assert json.loads(run(home, folder / "stylearena", "schema"))["title"] == "Score card"
