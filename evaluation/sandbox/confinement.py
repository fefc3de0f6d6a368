"""The walls: bubblewrap's command line, and the limits that hold before a job's own."""

from __future__ import annotations

import functools
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.sandbox import runtime
from evaluation.sandbox.gpu import Gpu
from evaluation.sandbox.values import SandboxUnavailable

_HERE = Path(__file__).parent
_OLDEST = (0, 8, 0)  # the first with --disable-userns
_TEMPORARY, _SHARED = "/tmp", "/dev/shm"  # noqa: S108 - inside
# Where files can be made at all, and how many bytes of them.
TEMPORARY = {_TEMPORARY: 64 << 20, _SHARED: 16 << 20}
ENVIRONMENT = {
    "PATH": "/nonexistent",
    "HOME": _TEMPORARY,
    "TMPDIR": _TEMPORARY,
    "LC_ALL": "C.UTF-8",
    "LD_LIBRARY_PATH": runtime.LIBRARIES,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # The wheel of onnxruntime writes a device id and looks for a way to upload it.
    "ORT_DISABLE_TELEMETRY": "1",
    "ORT_TELEMETRY_DISABLED": "1",
}


@dataclass(frozen=True)
class Profile:
    """What a sandbox is made of. Tests replace the runner; nothing else ever should."""

    runner: Path = _HERE / "runner.py"
    limits: dict[str, int] = field(
        # The runner sets the job's memory and time, and the number of processes: only inside its
        # user namespace does that one count its own and not everything of the same user.
        default_factory=lambda: {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": 64}
    )

    beside: tuple[Path, ...] = ()
    """Modules of this package that the runner imports; for the probe that tries the walls."""
    is_filtered: bool = True
    """False only to try what the other walls hold by themselves."""

    gpu: Gpu | None = None
    """A GPU that is to be seen inside; none for generators."""

    def binds(self) -> tuple[runtime.Bind, ...]:
        """Return what is bound in, read-only."""
        more = () if self.gpu is None else self.gpu.binds
        return runtime.find_runtime(self.runner, self.beside).binds + more

    def first_filter(self) -> Path:
        """Return the seccomp filter that bubblewrap loads."""
        return _HERE / "filters" / "stage1.x86_64.bpf"

    def command(self, binds: list[tuple[str, str]], *, control: int, seccomp: int) -> list[str]:
        """Build bubblewrap's command line. ``binds`` are pairs of source and place inside."""
        words = [str(find_bubblewrap())]
        words += ["--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534"]
        words += ["--unshare-pid", "--as-pid-1", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
        words += ["--unshare-cgroup-try", "--hostname", "sandbox", "--cap-drop", "ALL"]
        words += ["--die-with-parent", "--new-session", "--clearenv"]
        for name, value in ENVIRONMENT.items():
            words += ["--setenv", name, value]
        for source, target in binds:
            words += ["--ro-bind", source, target]
        words += ["--proc", "/proc", "--dev", "/dev"]
        for device in () if self.gpu is None else self.gpu.devices:
            words += ["--dev-bind", device, device]
        words += ["--size", str(TEMPORARY[_SHARED]), "--tmpfs", _SHARED, "--remount-ro", "/dev"]
        words += ["--size", str(TEMPORARY[_TEMPORARY]), "--tmpfs", _TEMPORARY]
        words += ["--remount-ro", "/", "--chdir", _TEMPORARY]
        words += ["--seccomp", str(seccomp), "--"] if self.is_filtered else ["--"]
        # Isolated and without site: no user folder, no .pth file, no variable decides what runs.
        words += [runtime.INTERPRETER, "-I", "-S", "-B", runtime.RUNNER]
        return [*words, str(control), *runtime.find_runtime(self.runner).import_path]


@functools.cache
def find_bubblewrap() -> Path:
    """Return the absolute path of a bubblewrap that is new enough.

    Raises:
        SandboxUnavailable: there is none, or there are no filters for this kind of machine.
    """
    if platform.machine() != "x86_64":
        raise SandboxUnavailable(
            f"The sandbox's system call filters exist for x86-64 only, this is "
            f"{platform.machine()}. Run the workers on an x86-64 machine."
        )
    found = shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")
    if found is None:
        raise SandboxUnavailable(
            "bubblewrap is not installed. Install it: sudo apt install bubblewrap"
        )
    answer = subprocess.run(  # noqa: S603
        [found, "--version"], capture_output=True, text=True, timeout=10, check=False, env={}
    )
    version = tuple(int(part) for part in re.findall(r"\d+", answer.stdout)[:3])
    if version < _OLDEST:
        raise SandboxUnavailable(
            f"bubblewrap 0.8 or newer is needed, this is {answer.stdout.strip() or 'unknown'}. "
            "Upgrade to Debian 12, Ubuntu 24.04 or newer."
        )
    return Path(found)
