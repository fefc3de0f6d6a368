"""docker-compose.yml, as far as it can be tried without a container engine."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
from tests.services import fresh_database
from tests.variables import named_in_the_code

WORKERS = ["worker-checks", "worker-evaluation"]


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
    for queue in ("checks", "evaluation"):
        assert command(f"worker-{queue}") == as_in_the_container(launch.worker(queue))
    assert command("sweeper") == as_in_the_container(launch.manage("sweeper", "sweep"))


def test_the_preparing_service_takes_the_launchers_steps(tmp_path: Path) -> None:
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
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert used <= known


def test_every_name_is_defined() -> None:
    everything = composition()
    for name, made in everything["services"].items():
        volumes = {volume.split(":")[0] for volume in made.get("volumes", [])}
        assert volumes <= set(everything["volumes"]), name
        assert set(made["networks"]) <= set(everything["networks"]), name
        assert set(made.get("secrets", [])) <= set(everything["secrets"]), name
        assert set(made.get("depends_on", {})) <= set(everything["services"]), name
        for variable, value in (made.get("environment") or {}).items():
            if variable.endswith("_FILE"):
                assert Path(value).name in made["secrets"], f"{name}: {variable}"
    for anchored in own_services():
        for other, wait in service(anchored)["depends_on"].items():
            waited_for = service(other)
            assert ("healthcheck" in waited_for) == (wait["condition"] == "service_healthy")


def test_nothing_is_privileged_and_nothing_of_ours_is_root() -> None:
    for name, made in composition()["services"].items():
        assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & set(made), name
        assert "no-new-privileges:true" in made["security_opt"], name
        for port in made.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: only a proxy on this machine"
    for name in own_services():
        made = service(name)
        assert (made["user"], made["cap_drop"], made["read_only"]) == ("10001:10001", ["ALL"], True)
        lifted = set(made["security_opt"]) - {"no-new-privileges:true"}
        assert bool(lifted) == (name in WORKERS), f"{name}: only sandboxes need that"


def test_the_image_and_the_services_agree_on_user_and_folders() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in dockerfile
    made = re.search(r"install -d -m 700 -o stylearena -g stylearena (.*)", dockerfile)
    assert made is not None
    for name in own_services():
        targets = {volume.split(":")[1] for volume in service(name)["volumes"]}
        assert targets <= set(made[1].split()), "a volume takes its owner from the image's folder"
    image = environment("worker-checks")
    assert (image["ARENA_VAR"], image["XDG_CACHE_HOME"]) == (
        "/var/lib/stylearena",
        "/var/lib/weights",
    )


def test_the_web_process_finds_the_weights_that_the_workers_use() -> None:
    found = [set(filter(is_weights, service(name)["volumes"])) for name in ("web", *WORKERS)]
    assert found == [{"weights:/var/lib/weights"}] * 3
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
    assert not {"secrets", ".env", "var", ".git", "tests"} & {path.split("/")[0] for path in let_in}


def test_make_secrets_makes_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "make-secrets", tmp_path / "deploy")
    subprocess.run([script], check=True)
    named = {Path(made["file"]).name for made in composition()["secrets"].values()}
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == named
    assert len(made["database_password"]) >= 32
    assert made["database_password"] != made["secret_key"]
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    (tmp_path / "secrets" / "smtp_password").chmod(0o600)
    (tmp_path / "secrets" / "smtp_password").write_text("my own")
    subprocess.run([script], check=True)
    again = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert again == made | {"smtp_password": "my own"}


def test_the_database_password_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("ab/c+d=\n")
    given = environment("web") | {"DATABASE_PASSWORD_FILE": str(tmp_path / "password")}
    given |= {"ARENA_SECRET_KEY": "x", "ARENA_SMTP_PASSWORD": "x", "ARENA_VAR": str(tmp_path)}
    code = "from django.conf import settings as s; print(s.DATABASES['default'])"
    path = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=given | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    for expected in ("'PASSWORD': 'ab/c+d='", "'HOST': 'postgres'", "'NAME': 'arena'"):
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
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    port = free_port()
    host = Host(tmp_path, database=fresh_database(postgres_url), broker=redis_url)
    host.run("prepare", port=port)
    assert (host.files / "static" / "staticfiles.json").is_file()
    with (
        host.started("web", port=port) as web,
        host.started("worker-checks", port=port) as checks,
        host.started("worker-evaluation", port=port) as evaluation,
        host.started("sweeper", port=port) as sweeper,
    ):
        programs = {"web": web, "checks": checks, "evaluation": evaluation, "sweeper": sweeper}
        wait_for(lambda: is_healthy(port), programs)
        # An idle worker answers, which takes database, broker and a sandbox that was tested.
        wait_for(lambda: {"checks", "evaluation"} <= answering(host, port), programs)


def is_healthy(port: int) -> bool:
    """Ask as the health check does."""
    test = service("web")["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    probe = [sys.executable, "-c", test[3].replace("8000", str(port))]
    return subprocess.run(probe, capture_output=True).returncode == 0


def answering(host: Host, port: int) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "arena", "inspect", "ping", "-j", "-t", "3"],
        cwd=ROOT,
        env=host.environment("sweeper", port),
        capture_output=True,
        text=True,
    )
    return set(re.findall(r'"(\w+)@', done.stdout))


def wait_for(is_true: Any, programs: dict[str, "subprocess.Popen[str]"]) -> None:
    end = time.monotonic() + 300
    while not is_true():
        for name, program in programs.items():
            ended = program.poll() is not None
            assert not ended, f"{name} ended: {program.stdout and program.stdout.read()}"
        assert time.monotonic() < end, "not within five minutes"
        time.sleep(0.5)


def test_defaults_make_a_site_for_this_machine_only() -> None:
    assert filled("${ARENA_HOSTS:-localhost},127.0.0.1") == "localhost,127.0.0.1"
    assert environment("web")["ARENA_HOSTS"] == "localhost,127.0.0.1"
    given = environment("web", {"ARENA_HOSTS": "arena.example", "ARENA_SMTP_PORT": "25"})
    assert given["ARENA_HOSTS"] == "arena.example,127.0.0.1"
    assert given["ARENA_SMTP_PORT"] == "25"
    assert "ARENA_SMTP_HOST" not in given, "unset stays unset: an empty number is no number"
