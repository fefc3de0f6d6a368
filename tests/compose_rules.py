"""What has to hold for every service of docker-compose.yml; each rule yields what breaks it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIZE = re.compile(r"(\$\{\w+:-)?\d+(m|g)\}?")
HAS_NO_HEALTH = {"prepare": "it runs to its end, and others wait for that"}
FROM_OUTSIDE = {"proxy"}  # what may publish ports
OWN_USERS = {"postgres", "redis"}  # users that those images have
SANDBOXING = {"seccomp=deploy/worker-seccomp.json", "apparmor=unconfined", "systempaths=unconfined"}


def problems(made: dict[str, Any]) -> list[str]:
    """Return everything that breaks a rule."""
    found = [f"{name}: {what}" for name, one in made["services"].items() for what in _of(name, one)]
    return [*found, *_names(made), *_waits(made)]


def _of(name: str, made: dict[str, Any]) -> Iterator[str]:
    yield from _privileges(name, made)
    yield from _limits(made)
    if "healthcheck" not in made and name not in HAS_NO_HEALTH:
        yield "no health check, and no reason for that"
    if made.get("restart") != ("no" if name == "prepare" else "unless-stopped"):
        yield "restart"
    if made.get("logging") != {"driver": "local"}:
        yield "logs without an end"
    if "build" not in made and not re.search(r":[\w.-]*\d", made["image"]):
        yield "an image without a version"
    if (name == "worker-gpu") != ("gpu" in made.get("profiles", [])):
        yield "only the worker for a GPU needs one"
    given = made.get("environment") or {}
    for variable, value in given.items():
        if re.search(r"PASSWORD|SECRET|TOKEN|KEY", variable) and not variable.endswith("_FILE"):
            yield f"{variable} is a secret outside a file"
        if variable.endswith("_FILE") and Path(value).name not in made.get("secrets", []):
            yield f"{variable} names no secret of this service"


def _privileges(name: str, made: dict[str, Any]) -> Iterator[str]:
    for word in ("privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"):
        if word in made:
            yield word
    if any("docker.sock" in str(volume) for volume in made.get("volumes", [])):
        yield "the engine's socket"
    if made.get("cap_drop") != ["ALL"] or made.get("read_only") is not True:
        yield "capabilities, or a root that can be written to"
    if made.get("user") not in {"10001:10001", *OWN_USERS}:
        yield "runs as root"
    options = set(made.get("security_opt", []))
    if "no-new-privileges:true" not in options:
        yield "may gain privileges"
    lifted = options - {"no-new-privileges:true"}
    if lifted != (SANDBOXING if name.startswith("worker-") else set()):
        yield "lifts other walls than a sandbox needs"
    if made.get("ports") and name not in FROM_OUTSIDE:
        yield "can be reached from outside"


def _limits(made: dict[str, Any]) -> Iterator[str]:
    resources = made.get("deploy", {}).get("resources", {})
    limits = resources.get("limits", {})
    if not re.fullmatch(r"(\$\{\w+:-)?[\d.]+\}?", str(limits.get("cpus", ""))):
        yield "no limit of processors"
    if not SIZE.fullmatch(str(limits.get("memory", ""))):
        yield "no limit of memory"
    if not isinstance(limits.get("pids"), int):
        yield "no limit of processes"
    for device in resources.get("reservations", {}).get("devices", []):
        if device.get("driver") != "nvidia" or len(device.get("device_ids", [])) != 1:
            yield "one process has one GPU"


def _names(made: dict[str, Any]) -> Iterator[str]:
    for name, one in made["services"].items():
        volumes = {volume.split(":")[0] for volume in one.get("volumes", [])}
        for kind, used in (
            ("volumes", volumes),
            ("networks", set(one.get("networks", []))),
            ("secrets", set(one.get("secrets", []))),
            ("services", set(one.get("depends_on", {}))),
        ):
            for each in used - set(made.get(kind, {})):
                yield f"{name}: there is no {each} among the {kind}"
        if not one.get("networks"):
            yield f"{name}: is on the network of all"
    used_by_any = {
        kind: {
            str(each).split(":")[0]
            for one in made["services"].values()
            for each in one.get(kind, [])
        }
        for kind in ("volumes", "networks", "secrets")
    }
    for kind, used in used_by_any.items():
        for each in set(made.get(kind, {})) - used:
            yield f"nobody uses {each} of the {kind}"


def _waits(made: dict[str, Any]) -> Iterator[str]:
    services = made["services"]
    for name, one in services.items():
        for other, wait in one.get("depends_on", {}).items():
            waited_for = services.get(other, {})
            if ("healthcheck" in waited_for) != (wait["condition"] == "service_healthy"):
                yield f"{name}: {other} never becomes what it waits for"
            if "profiles" in waited_for and wait.get("required", True):
                yield f"{name}: can't start without {other}, which may be left out"
    for database in ("postgres", "redis", "storage"):
        inside = services.get(database, {}).get("networks", [])
        if any(not (made["networks"][net] or {}).get("internal") for net in inside):
            yield f"{database}: is on a network with a way out"
