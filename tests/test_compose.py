"""docker-compose.yml, as far as it can be tried without a container engine."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from arena import launch
from arena.supervisor import Program
from tests.composing import (
    PROFILE,
    ROOT,
    Host,
    command,
    composition,
    environment,
    filled,
    own_services,
    service,
    write_filter,
)
from tests.deployment import free_port
from tests.proxy import Proxy
from tests.services import fresh_database
from tests.variables import named_in_the_code

WORKERS = ["worker-checks", "worker-cpu", "worker-gpu"]


def as_in_the_container(program: Program) -> list[str]:
    """Return a program of the launcher as its service has to start it."""
    words = list(program.command)
    assert words[0] == sys.executable
    if "-W" in words:  # only for root
        del words[words.index("-W") : words.index("-W") + 2]
    # A container has an address of its own; what may reach it is up to the engine.
    # Its image has the project in /app.
    words = [word.replace(str(ROOT), "/app") for word in words[1:]]
    return ["python", *(word.replace(launch.HOST, "0.0.0.0") for word in words)]  # noqa: S104


class Notes:
    """Takes the launcher's steps down instead of running them."""

    def __init__(self) -> None:
        self.steps: list[Program] = []

    def say(self, text: str) -> None:
        pass

    def run_step(self, program: Program) -> int:
        self.steps.append(program)
        return 0


def test_the_services_start_what_the_launcher_starts() -> None:
    assert command("web") == as_in_the_container(launch.web(8000))
    for name, queues in (
        ("worker-checks", ("checks", "preparations")),
        ("worker-cpu", ("evaluation",)),
    ):
        assert command(name) == as_in_the_container(launch.worker(*queues))
    gpu = launch.worker("gpu")
    assert command("worker-gpu") == as_in_the_container(gpu)
    assert command("sweeper") == as_in_the_container(launch.manage("sweeper", "sweep"))


def test_the_preparing_service_takes_the_launchers_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_STORAGE_BUCKET_NAME", "arena")  # which takes a step more
    notes = Notes()
    launch.prepare(notes, tmp_path)  # type: ignore[arg-type]
    shell, option, line = command("prepare")
    assert (shell, option) == ("sh", "-c")
    assert [step.split() for step in line.split("&&")] == [
        as_in_the_container(step) for step in notes.steps
    ]


def test_every_variable_is_one_that_the_code_reads() -> None:
    known = named_in_the_code()
    for name in own_services():
        for variable in service(name)["environment"]:
            assert variable.removesuffix("_FILE") in known, f"{name}: {variable}"


def test_the_web_process_finds_the_weights_that_the_workers_use() -> None:
    found = [set(filter(is_weights, service(name)["volumes"])) for name in ("web", *WORKERS)]
    assert found == [{"weights:/var/lib/weights"}] * 4
    given = {"ARENA_WEIGHTS_DIR": "/var/lib/weights"}
    for name in ("web", *WORKERS):
        assert environment(name, given)["ARENA_WEIGHTS_DIR"] == "/var/lib/weights"


def is_weights(volume: str) -> bool:
    return volume.startswith("weights:")


def test_the_image_gets_what_runs_and_no_secrets() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*", "all is left out but what is named"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    for needed in (*launch.SOURCES, "styletransfer", "templates", "static", "locale", "manage.py"):
        assert needed in let_in or needed.split("/")[0] in let_in, needed
    assert all((ROOT / path).exists() for path in let_in)
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {path for path in copied if path != "."} <= let_in
    assert not {"secrets", ".env", "var", ".git", "tests"} & {path.split("/")[0] for path in let_in}


def test_make_secrets_makes_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "make-secrets", tmp_path / "deploy")
    subprocess.run([script], check=True)
    named = {Path(made["file"]).name for made in composition()["secrets"].values()}
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == named
    made_up = [text for name, text in made.items() if name != "smtp_password"]
    assert all(len(text) >= 32 and text.isalnum() for text in made_up)
    assert len(set(made_up)) == len(made_up)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    (tmp_path / "secrets" / "smtp_password").chmod(0o600)
    (tmp_path / "secrets" / "smtp_password").write_text("my own")
    subprocess.run([script], check=True)
    again = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert again == made | {"smtp_password": "my own"}


def test_passwords_and_keys_come_from_files(tmp_path: Path) -> None:
    named = [name for name in environment("web") if name.endswith("_FILE")]
    for name in named:
        (tmp_path / name).write_text(f"ab/c+d={name}\n")
    given = environment("web") | {name: str(tmp_path / name) for name in named}
    given |= {"ARENA_VAR": str(tmp_path), "AWS_STORAGE_BUCKET_NAME": "arena"}
    code = (
        "from django.conf import settings as s; print(s.DATABASES['default'], s.REDIS_URL,"
        "s.SECRET_KEY, s.EMAIL_HOST_PASSWORD, s.METRICS_TOKEN, s.CELERY_BROKER_URL,"
        "s.AWS_S3_ACCESS_KEY_ID, s.AWS_S3_SECRET_ACCESS_KEY)"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=given | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(named) == len(composition()["secrets"])
    for name in named:
        written = f"ab%2Fc%2Bd%3D{name}" if name == "REDIS_PASSWORD_FILE" else f"ab/c+d={name}"
        assert written in done.stdout, name
    for expected in ("'HOST': 'postgres'", "'NAME': 'arena'", "@redis:6379/0"):
        assert expected in done.stdout


def test_the_workers_profile_allows_a_sandbox_and_refuses_what_it_names(tmp_path: Path) -> None:
    refused = json.loads(PROFILE.read_text())["syscalls"]
    assert {"bpf", "keyctl", "ptrace"} <= set(refused[0]["names"])
    assert "io_uring_setup" in refused[1]["names"]
    write_filter(tmp_path / "filter")
    code = (
        "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True);"
        "assert libc.syscall(321, 0, 0, 0) == -1 and ctypes.get_errno() == 1, 'bpf';"
        "from evaluation.sandbox import self_test; self_test()"
    )
    fd = os.open(tmp_path / "filter", os.O_RDONLY)
    walls = ["bwrap", "--unshare-user", "--uid", "10001", "--cap-drop", "ALL", "--seccomp", str(fd)]
    done = subprocess.run(
        [*walls, "--bind", "/", "/", "--dev-bind", "/dev", "/dev", sys.executable, "-c", code],
        cwd=ROOT,
        pass_fds=[fd],
        capture_output=True,
        text=True,
    )
    os.close(fd)
    assert done.returncode == 0, done.stderr


def test_all_services_run_between_walls_like_a_containers(
    postgres_url: str, tmp_path: Path
) -> None:
    port = free_port()
    host = Host(tmp_path, database=fresh_database(postgres_url))
    host.run("prepare", port=port)
    assert (host.files / "static" / "staticfiles.json").is_file()
    with (
        host.broker(),
        host.started("web", port=port) as web,
        host.started("worker-checks", port=port) as checks,
        host.started("worker-cpu", port=port) as evaluation,
        host.started("sweeper", port=port) as sweeper,
    ):
        programs = {"web": web, "checks": checks, "evaluation": evaluation, "sweeper": sweeper}
        wait_for(lambda: is_healthy(port) and host.check_redis(), programs)
        look_through_the_proxy(host, port)
        # An idle worker answers, which takes database, broker and a sandbox that was tested.
        wait_for(lambda: {"checks", "evaluation"} <= answering(host, port), programs)
        for name in ("worker-checks", "worker-cpu", "sweeper"):
            wait_for(partial(host.shows_life, name), programs)
            os.utime(host._sign(name), (0, 0))  # long ago
            assert not host.shows_life(name)


def look_through_the_proxy(host: Host, port: int) -> None:
    """Ask the site as visitors do, over TLS, and as those who would like to be somebody else."""
    with Proxy(host.files.parent, upstream=f"127.0.0.1:{port}") as proxy:
        status, headers, _ = proxy.ask("/", **{"X-Request-ID": "chosen-outside"})
        assert status == 200
        assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
        assert headers["X-Request-ID"] != "chosen-outside"
        assert "Server" not in headers
        assert proxy.ask("/", name="other.example")[0] is None, "no certificate for another name"
        # Through a proxy nobody reads the figures without the token, whatever they say they are.
        assert proxy.ask("/metrics", **{"X-Forwarded-For": "127.0.0.1"})[0] == 403
        # Secure cookies say that the site knows of TLS.
        assert "; Secure" in proxy.ask("/accounts/login/")[1]["Set-Cookie"]
        status, headers, _ = proxy.ask_in_clear("/phases")
        assert (status, headers["Location"]) == (308, "https://localhost/phases")
        assert proxy.is_healthy()


def is_healthy(port: int) -> bool:
    """Ask as the health check does."""
    test = service("web")["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    probe = [sys.executable, "-c", test[3].replace("8000", str(port))]
    return subprocess.run(probe, capture_output=True).returncode == 0


PING = """
from arena.celery import app
from competitions.queues import key_prefix
app.conf.broker_transport_options["global_keyprefix"] = key_prefix("{queue}")
print(app.control.inspect(timeout=3).ping())
"""


def answering(host: Host, port: int) -> set[str]:
    said = ""
    for queue in ("checks", "evaluation"):
        done = subprocess.run(
            [*(sys.executable, "-m", "django", "shell", "-v", "0"), "-c", PING.format(queue=queue)],
            cwd=ROOT,
            env=host.environment("sweeper", port),
            capture_output=True,
            text=True,
        )
        said += done.stdout
    return set(re.findall(r"'(\w+)@", said))


def wait_for(is_true: Any, programs: dict[str, "subprocess.Popen[str]"]) -> None:
    end = time.monotonic() + 300
    while not is_true():
        for name, program in programs.items():
            ended = program.poll() is not None
            assert not ended, f"{name} ended: {program.stdout and program.stdout.read()}"
        assert time.monotonic() < end, "not within five minutes"
        time.sleep(0.5)


def test_defaults_make_a_site_for_this_machine_only() -> None:
    assert filled("${ARENA_HOSTS:-localhost},more") == "localhost,more"
    assert environment("web")["ARENA_HOSTS"] == "localhost"
    assert environment("web")["ARENA_URL"] == "https://localhost"
    given = environment("web", {"ARENA_HOSTS": "arena.example", "ARENA_SMTP_PORT": "25"})
    assert given["ARENA_HOSTS"] == "arena.example"
    assert given["ARENA_SMTP_PORT"] == "25"
    assert "ARENA_SMTP_HOST" not in given, "unset stays unset: an empty number is no number"
