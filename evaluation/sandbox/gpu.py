"""What a sandbox would need of an NVIDIA driver to see one GPU and nothing else of it.

Generated from what the driver of this machine says it has, since names and libraries change with
its versions. Not measured on a GPU yet: generators run on the processor, and only
``manage.py sandbox_check --gpu`` uses this, to find out what is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from evaluation.sandbox.runtime import LIBRARIES, Bind
from evaluation.sandbox.values import SandboxUnavailable

# Always, and where the driver has them. Left out on purpose: nvidia-modeset, /dev/dri, and the
# sockets of the persistence, MPS and fabric daemons, which computing doesn't need.
_CONTROL = ("nvidiactl", "nvidia-uvm")
_MAYBE = ("nvidia-uvm-tools",)
_LIBRARIES = ("cuda", "nvidia-ml", "nvidia-ptxjitcompiler", "nvidia-nvvm", "nvidia-gpucomp")
_ASKED_BY = {"cuda": "1", "nvidia-ml": "1", "nvidia-ptxjitcompiler": "1", "nvidia-nvvm": "4"}
_FOLDERS = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/local/nvidia/lib64")
_NEEDED_OF_SYS = ("module/nvidia", "module/nvidia_uvm", "devices/system/node", "devices/system/cpu")
_VERSION = re.compile(r"Kernel Module.*?\s{2}(\d+\.\d+(?:\.\d+)?)\s")


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one slice of it: devices to bind as devices, the rest to bind read-only."""

    devices: tuple[str, ...]
    binds: tuple[Bind, ...]


def find_gpu(minor: int, *, slice_of: tuple[int, int] | None = None, root: Path = Path("/")) -> Gpu:
    """Collect what makes GPU ``minor`` visible, and no other.

    Args:
        minor: N of ``/dev/nvidiaN``.
        slice_of: numbers of the GPU instance and compute instance of a MIG slice.
        root: where ``dev``, ``proc``, ``sys`` and ``usr`` lie; another one in tests.

    Raises:
        SandboxUnavailable: there is no driver, no such GPU, or no such slice.
    """
    driver = root / "proc/driver/nvidia"
    version = _version(driver)
    names = [*_CONTROL, f"nvidia{minor}"]
    names += [name for name in _MAYBE if (root / "dev" / name).exists()]
    if slice_of is not None:
        names += _slice(driver, minor, *slice_of)
    missing = [name for name in names if not (root / "dev" / name).exists()]
    if missing:
        raise SandboxUnavailable(f"The NVIDIA driver has no /dev/{', /dev/'.join(missing)} here.")
    places = [*_NEEDED_OF_SYS, f"bus/pci/devices/{_bus_id(driver, minor)}"]
    sys_binds = [
        Bind((root / "sys" / place).resolve(), f"/sys/{place}")
        for place in places
        if (root / "sys" / place).exists()
    ]
    return Gpu(
        devices=tuple(f"/dev/{name}" for name in names),
        binds=(*_libraries(root, version), *sys_binds),
    )


def _version(driver: Path) -> str:
    try:
        found = _VERSION.search((driver / "version").read_text())
    except OSError:
        found = None
    if found is None:
        raise SandboxUnavailable("There is no NVIDIA driver on this machine.")
    return found[1]


def _bus_id(driver: Path, minor: int) -> str:
    for information in sorted((driver / "gpus").glob("*/information")):
        lines = information.read_text().splitlines()
        words = {
            name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        if words.get("Device Minor") == str(minor):
            return information.parent.name.lower()
    raise SandboxUnavailable(f"The NVIDIA driver knows no GPU with the number {minor}.")


def _slice(driver: Path, minor: int, gpu_instance: int, compute_instance: int) -> list[str]:
    """Return the devices that open one MIG slice."""
    base = driver / f"capabilities/gpu{minor}/mig/gi{gpu_instance}"
    names = []
    for access in (base / "access", base / f"ci{compute_instance}" / "access"):
        try:
            found = re.search(r"DeviceFileMinor:\s*(\d+)", access.read_text())
        except OSError:
            found = None
        if found is None:
            raise SandboxUnavailable(
                f"GPU {minor} has no slice {gpu_instance}/{compute_instance}: see nvidia-smi mig."
            )
        names.append(f"nvidia-caps/nvidia-cap{found[1]}")
    return names


def _libraries(root: Path, version: str) -> list[Bind]:
    """Return those of the running kernel module's version: others don't work with it."""
    found: dict[str, Bind] = {}
    for name in _LIBRARIES:
        for folder in _FOLDERS:
            for path in sorted((root / folder).glob(f"lib{name}*.so.{version}")):
                # The name by which others ask for it: gpucomp's is the full one.
                plain = path.name.removesuffix(f".{version}")
                target = f"{plain}.{_ASKED_BY[name]}" if name in _ASKED_BY else path.name
                found.setdefault(target, Bind(path, f"{LIBRARIES}/{target}"))
    if "libcuda.so.1" not in found:
        raise SandboxUnavailable(f"libcuda.so.{version} of the NVIDIA driver is not installed.")
    return list(found.values())
