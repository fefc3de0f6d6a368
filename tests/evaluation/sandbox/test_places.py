"""The sandbox on other machines and under other accounts, and what it says where it can't be."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from evaluation.sandbox import SandboxUnavailable, self_test, staging
from evaluation.sandbox.confinement import find_bubblewrap
from evaluation.sandbox.diagnosis import APPARMOR_PROFILE, explain
from evaluation.sandbox.runtime import Bind
from evaluation.sandbox.self_testing import IDENTITY_ONNX

_REPOSITORY = Path(__file__).parents[3]
_SELF_TEST = """
import os, sys
from evaluation.sandbox import SandboxUnavailable, self_test
assert os.geteuid() != 0
try:
    self_test()
except SandboxUnavailable as error:
    sys.exit(error.reason)
"""
_AS_ROOT = _SELF_TEST.replace("!= 0", "== 0")
_AS_SOMEBODY = ("unshare", "--user", "--map-user=1001", "--map-group=1001")


@pytest.fixture
def user_namespace() -> None:
    """Skip where an ordinary account can't be tried."""
    tried = subprocess.run([*_AS_SOMEBODY, "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("this machine lets only bubblewrap make user namespaces")


def test_the_self_test_passes_here() -> None:
    assert all(finding.stood for finding in self_test())


@pytest.mark.usefixtures("user_namespace")
def test_an_ordinary_account_needs_no_rights() -> None:
    done = subprocess.run(
        [*_AS_SOMEBODY, sys.executable, "-c", _SELF_TEST],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("user_namespace")
def test_a_machine_without_user_namespaces_is_told_what_to_change() -> None:
    forbid = (
        "echo 0 > /proc/sys/user/max_user_namespaces && "
        'exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
    )
    done = subprocess.run(
        [*_AS_SOMEBODY, "--keep-caps", "sh", "-c", forbid, "-", sys.executable, "-c", _SELF_TEST],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "sudo sysctl -w user.max_user_namespaces" in done.stderr


@pytest.mark.usefixtures("user_namespace")
def test_root_of_a_container_with_a_single_user_is_told_what_to_change() -> None:
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            sys.executable,
            "-c",
            _SELF_TEST.replace("!=", "=="),
        ],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ordinary" in done.stderr or "only root can write" in done.stderr


def test_another_kind_of_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(SandboxUnavailable, match="x86-64 only, this is aarch64"):
        find_bubblewrap.__wrapped__()


def test_a_machine_without_bubblewrap_is_told_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(SandboxUnavailable, match="sudo apt install bubblewrap"):
        find_bubblewrap.__wrapped__()


def test_words_of_bubblewrap_reach_the_operator() -> None:
    said = explain("bwrap: Can't find source path /gone: No such file or directory\n", "It ended.")
    assert said == (
        "It ended. It said: bwrap: Can't find source path /gone: No such file or directory"
    )


def test_the_apparmor_profile_covers_the_bubblewrap_that_is_used() -> None:
    assert (
        f" {find_bubblewrap()} flags=(unconfined) {{\n  userns,\n" in APPARMOR_PROFILE.read_text()
    )


def test_importing_the_package_imports_neither_torch_nor_django() -> None:
    code = (
        "import sys, evaluation.sandbox; "
        "sys.exit(bool({'torch', 'onnxruntime', 'django'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=_REPOSITORY, check=True)


def test_the_graph_of_the_self_test_is_a_valid_identity() -> None:
    model = onnx.load_model_from_string(IDENTITY_ONNX)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Identity"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give things to other users")
def test_what_other_users_cannot_read_is_copied_once_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "COPIES", tmp_path / "copies")
    closed = tmp_path / "closed"
    (closed / "package" / "site-packages").mkdir(parents=True)
    module = closed / "package" / "module.py"
    module.write_text("1")
    module.chmod(0o600)
    closed.chmod(0o700)
    binds = (Bind(closed, "/opt/closed"), Bind(Path("/usr/lib"), "/opt/lib"))

    first, untouched = staging.readable.__wrapped__(binds, by_mounting=True)
    copy = first.source / "package" / "module.py"
    assert untouched == binds[1]
    assert copy.read_text() == "1"
    assert (copy.stat().st_mode & 0o777, first.source.stat().st_mode & 0o777) == (0o644, 0o755)
    assert not (first.source / "package" / "site-packages").exists()
    assert staging.readable.__wrapped__(binds, by_mounting=True)[0] == first

    module.write_text("22")
    again, _ = staging.readable.__wrapped__(binds, by_mounting=True)
    assert (again.source / "package" / "module.py").read_text() == "22"
