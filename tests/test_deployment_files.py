"""docker-compose.yml, Dockerfile, Caddyfile and scripts: checked by what knows the formats."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose_rules import problems
from tests.composing import ROOT, composition

COMPOSE = "docker-compose.yml"
SCHEMA = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
SCRIPTS = (".ci/run", "deploy/make-secrets", "deploy/storage")


def finds(command: list[str], *paths: Path) -> str:
    """Return what a checker complains of, nothing if it is content."""
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [program, *command[1:], *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert (done.returncode == 0) or said
    return said if done.returncode else ""


def test_every_rule_for_the_services_holds() -> None:
    assert problems(composition()) == []


def without(name: str, *path: str) -> Callable[[dict[str, Any]], None]:
    def remove(made: dict[str, Any]) -> None:
        at = made["services"][name]
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]

    return remove


def changed(name: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(made: dict[str, Any]) -> None:
        made["services"][name][key] = value

    return change


BROKEN = {
    "privileged": changed("worker-cpu", "privileged", True),
    "no health check": without("redis", "healthcheck"),
    "processors": without("web", "deploy", "resources", "limits", "cpus"),
    "memory": without("postgres", "deploy", "resources", "limits", "memory"),
    "processes": without("proxy", "deploy", "resources", "limits", "pids"),
    "restart": without("sweeper", "restart"),
    "root": without("proxy", "user"),
    "written to": changed("storage", "read_only", False),
    "lifts other walls": changed("web", "security_opt", ["no-new-privileges:true", "x=unconfined"]),
    "may gain": changed("redis", "security_opt", []),
    "from outside": changed("postgres", "ports", ["5432:5432"]),
    "outside a file": changed("web", "environment", {"AWS_SECRET_ACCESS_KEY": None}),
    "names no secret": changed("web", "secrets", ["secret_key"]),
    "way out": changed("redis", "networks", ["inside", "outside"]),
    "never becomes": changed("web", "depends_on", {"prepare": {"condition": "service_healthy"}}),
    "may be left out": changed("web", "depends_on", {"storage": {"condition": "service_healthy"}}),
    "among the volumes": changed("web", "volumes", ["nowhere:/var/lib/stylearena"]),
    "without a version": changed("redis", "image", "redis:latest"),
    "needs one": without("worker-gpu", "profiles"),
    "one GPU": lambda made: made["services"]["worker-gpu"]["deploy"]["resources"]["reservations"][
        "devices"
    ][0].update(device_ids=["0", "1"]),
    "nobody uses": lambda made: made["volumes"].update(more={}),
    "without an end": without("web", "logging"),
}


@pytest.mark.parametrize("found", BROKEN)
def test_each_rule_finds_what_breaks_it(found: str) -> None:
    made = copy.deepcopy(composition())
    BROKEN[found](made)
    assert any(found in problem for problem in problems(made)), problems(made)


def test_the_composition_is_one_by_its_own_schema_and_a_broken_one_is_not(tmp_path: Path) -> None:
    assert finds(SCHEMA, ROOT / COMPOSE) == ""
    for name, value in (("restrat", "always"), ("ports", 80), ("depends_on", [{"web": 1}])):
        made = copy.deepcopy(composition())
        made["services"]["web"][name] = value
        broken = tmp_path / f"{name}.yml"
        broken.write_text(yaml.safe_dump(made))
        assert finds(SCHEMA, broken), name


def test_the_dockerfile_is_clean_and_a_bad_one_is_found_out(tmp_path: Path) -> None:
    assert finds(["hadolint"], ROOT / "Dockerfile") == ""
    bad = tmp_path / "Dockerfile"
    bad.write_text((ROOT / "Dockerfile").read_text().replace(":2.11.4-alpine", ":latest"))
    assert "DL3007" in finds(["hadolint"], bad)


def test_every_target_that_is_built_is_a_stage() -> None:
    stages = [
        line.split()[-1]
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("FROM ")
    ]
    built = {
        made["build"]["target"] for made in composition()["services"].values() if "build" in made
    }
    assert built == {"web", "worker", "proxy", "storage"}
    assert built <= set(stages)


def test_shell_scripts_are_clean_and_a_bad_one_is_found_out(tmp_path: Path) -> None:
    scripts = [ROOT / name for name in SCRIPTS]
    scripts += [
        path
        for path in (ROOT / "scripts").iterdir()
        if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash")
    ]
    assert len(scripts) >= 7
    assert finds(["shellcheck"], *scripts) == ""
    bad = tmp_path / "bad"
    bad.write_text("#!/bin/sh\nrm -rf $1/*\n")
    assert "SC2086" in finds(["shellcheck"], bad)


def test_the_checks_of_every_change_make_these_too() -> None:
    script = (ROOT / "scripts" / "check").read_text()
    for words in (" ".join([*SCHEMA, COMPOSE]), "hadolint Dockerfile", "shellcheck "):
        assert f"check {words}" in script
