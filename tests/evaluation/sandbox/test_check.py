"""The check of the walls: all stand here, and each one that is taken away is missed by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from evaluation.sandbox import LeakySandbox, memory, self_test
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.runtime import Bind
from evaluation.sandbox.walls import WALLS, check_walls

Change = Callable[[list[str]], list[str]]
# Its descriptor, which bubblewrap would have taken and closed, is found too.
_FILTERS = {"sockets", "ptrace", "fork", "namespaces", "mounts", "keys", "kernel", "descriptors"}
_SECOND = {"open", "exec", "limits", "second filter"}


@dataclass(frozen=True)
class Broken(Profile):
    """A profile whose command line or binds were changed."""

    change: Change = list
    replaced: dict[str, Path] = field(default_factory=dict, hash=False)

    def command(self, binds: list[tuple[str, str]], *, control: int, seccomp: int) -> list[str]:
        return self.change(super().command(binds, control=control, seccomp=seccomp))

    def binds(self) -> tuple[Bind, ...]:
        return tuple(
            Bind(self.replaced.get(bind.target, bind.source), bind.target)
            for bind in super().binds()
        )


def missing(profile: Profile) -> set[str]:
    return {finding.wall for finding in check_walls(profile) if not finding.stood}


def without(*flags: str) -> Change:
    """Take flags away; one followed by its value is written with a space."""

    def change(words: list[str]) -> list[str]:
        for flag in flags:
            name, *values = flag.split()
            at = next(
                i
                for i, word in enumerate(words)
                if word == name and words[i + 1 : i + 1 + len(values)] == values
            )
            del words[at : at + 1 + len(values)]
        return words

    return change


def adding(flags: str) -> Change:
    def change(words: list[str]) -> list[str]:
        at = words.index("--remount-ro")
        return [*words[:at], *flags.split(), *words[at:]]

    return change


def writable(words: list[str]) -> list[str]:
    words[words.index("/opt/arena/styletransfer") - 2] = "--bind"
    return words


def unfiltered(words: list[str]) -> list[str]:
    if "--seccomp" in words:
        at = words.index("--seccomp")
        del words[at : at + 2]
    return words


def test_every_wall_is_tried_and_stands() -> None:
    findings = check_walls()
    assert [finding for finding in findings if not finding.stood] == []
    assert {finding.wall for finding in findings} == set(WALLS)


@pytest.mark.parametrize(
    ("change", "walls"),
    [
        (without("--unshare-net"), {"network"}),
        (without("--unshare-ipc"), {"ipc"}),
        (without("--unshare-uts", "--hostname sandbox"), {"host name"}),
        (without("--disable-userns"), {"namespaces"}),
        (without("--new-session"), {"terminal"}),
        (without("--size 67108864"), {"temporary files"}),
        (without("--size 16777216"), {"temporary files"}),
        (without("--remount-ro /"), {"read-only"}),
        (without("--remount-ro /dev"), {"read-only"}),
        (without("--unshare-pid", "--as-pid-1"), {"processes", "signals", "environment"}),
        (adding("--ro-bind /etc /etc"), {"files"}),
        (adding("--ro-bind /bin/sh /bin/sh"), {"exec"}),
        (adding("--setenv WORKER_SECRET hunter2"), {"environment"}),
        (adding("--dev-bind /dev/null /dev/other"), {"devices"}),
        (adding("--cap-add ALL"), {"privileges"}),
        (writable, {"read-only"}),
        (unfiltered, _FILTERS),
    ],
)
def test_a_flag_that_is_forgotten_is_missed_by_the_name_of_its_wall(
    change: Change, walls: set[str]
) -> None:
    assert missing(Broken(change=change)) == walls


@pytest.mark.parametrize(
    ("limit", "wall"),
    [("RLIMIT_FSIZE", "file size"), ("RLIMIT_CORE", "limits"), ("RLIMIT_NOFILE", "limits")],
)
def test_a_limit_that_is_not_set_before_bubblewrap_is_missed(limit: str, wall: str) -> None:
    limits = {name: value for name, value in Profile().limits.items() if name != limit}
    assert missing(Profile(limits=limits)) == {wall}


@pytest.mark.parametrize(
    ("line", "walls"),
    [
        ("(resource.RLIMIT_AS, mapped + memory_bytes),", {"memory", "limits"}),
        ("(resource.RLIMIT_CPU, int(spent) + cpu_s),", {"processor time"}),
        ("(resource.RLIMIT_NPROC, most_threads(threads)),", {"threads"}),
        ("if libc.syscall(_SYS_SECCOMP", _SECOND),
    ],
)
def test_what_the_runner_forgets_is_missed(tmp_path: Path, line: str, walls: set[str]) -> None:
    place = "/opt/arena/evaluation/sandbox/confining.py"
    source = next(bind.source for bind in Profile().binds() if bind.target == place).read_text()
    assert line in source
    broken = source.replace(line, "if False and (0" if line.startswith("if") else "")
    module = tmp_path / "confining.py"
    module.write_text(broken)
    assert missing(Broken(replaced={place: module})) == walls


def test_a_buffer_that_is_not_sealed_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsealed(array: np.ndarray) -> int:
        fd = os.memfd_create("input")
        os.write(fd, array.tobytes())
        return fd

    monkeypatch.setattr(memory, "seal_array", unsealed)
    assert missing(Profile()) == {"buffers"}


def test_a_self_test_that_misses_a_wall_says_which_and_keeps_everything_it_found() -> None:
    with pytest.raises(LeakySandbox, match=r"not tight: network \(connect over TCP") as caught:
        self_test(Broken(change=without("--unshare-net")))
    assert {finding.wall for finding in caught.value.findings} >= set(WALLS)
