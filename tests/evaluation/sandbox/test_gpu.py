"""What a sandbox gets of a GPU, on a driver of plain files: there is none to try."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.sandbox import SandboxUnavailable
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.gpu import Gpu, find_gpu
from evaluation.sandbox.runtime import Bind

VERSION = "570.124.06"
KINDS = ("x86_64 Kernel Module", "Open Kernel Module for x86_64")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two GPUs, the second one sliced, with libraries of two versions of the driver."""
    files = {
        "proc/driver/nvidia/version": f"NVRM version: NVIDIA UNIX {KINDS[0]}  {VERSION}  x",
        "proc/driver/nvidia/gpus/0000:17:00.0/information": "Model: \t X\nDevice Minor: \t 0\n",
        "proc/driver/nvidia/gpus/0000:65:00.0/information": "Model: \t X\nDevice Minor: \t 1\n",
        "proc/driver/nvidia/capabilities/gpu1/mig/gi3/access": "DeviceFileMinor: 30\n",
        "proc/driver/nvidia/capabilities/gpu1/mig/gi3/ci0/access": "DeviceFileMinor: 31\n",
        f"usr/lib/x86_64-linux-gnu/libcuda.so.{VERSION}": "",
        "usr/lib/x86_64-linux-gnu/libcuda.so.535.1": "",
        f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{VERSION}": "",
        f"usr/lib/x86_64-linux-gnu/libnvidia-ptxjitcompiler.so.{VERSION}": "",
        f"usr/lib/x86_64-linux-gnu/libnvidia-nvvm.so.{VERSION}": "",
        f"usr/lib/x86_64-linux-gnu/libnvidia-gpucomp.so.{VERSION}": "",
        f"usr/lib/x86_64-linux-gnu/libnvidia-glcore.so.{VERSION}": "",
        "sys/module/nvidia/version": VERSION,
        "sys/bus/pci/devices/0000:65:00.0/vendor": "0x10de",
        "sys/bus/pci/devices/0000:17:00.0/vendor": "0x10de",
        "dev/nvidia-caps/nvidia-cap30": "",
        "dev/nvidia-caps/nvidia-cap31": "",
    }
    names = ("nvidiactl", "nvidia0", "nvidia1", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
    for place in (*files, *(f"dev/{name}" for name in names)):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files.get(place, ""))
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_one_gpu_is_seen_with_the_libraries_of_the_running_driver(root: Path, kind: str) -> None:
    version = root / "proc/driver/nvidia/version"
    version.write_text(version.read_text().replace(KINDS[0], kind))
    gpu = find_gpu(1, root=root)
    devices = ("nvidiactl", "nvidia-uvm", "nvidia1", "nvidia-uvm-tools")
    assert gpu.devices == tuple(f"/dev/{name}" for name in devices)
    targets = {bind.target for bind in gpu.binds}
    assert targets == {
        "/opt/lib/libcuda.so.1",
        "/opt/lib/libnvidia-ml.so.1",
        "/opt/lib/libnvidia-ptxjitcompiler.so.1",
        "/opt/lib/libnvidia-nvvm.so.4",
        f"/opt/lib/libnvidia-gpucomp.so.{VERSION}",
        "/sys/module/nvidia",
        "/sys/bus/pci/devices/0000:65:00.0",
    }
    sources = {bind.source.name for bind in gpu.binds}
    assert "libcuda.so.535.1" not in sources


def test_a_slice_opens_its_own_capabilities_and_no_others(root: Path) -> None:
    devices = find_gpu(1, slice_of=(3, 0), root=root).devices
    assert devices[-2:] == ("/dev/nvidia-caps/nvidia-cap30", "/dev/nvidia-caps/nvidia-cap31")
    with pytest.raises(SandboxUnavailable, match="no slice 3/7"):
        find_gpu(1, slice_of=(3, 7), root=root)


def test_what_is_not_there_is_said(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="no /dev/nvidia5"):
        find_gpu(5, root=root)
    with pytest.raises(SandboxUnavailable, match="no NVIDIA driver"):
        find_gpu(0, root=tmp_path / "empty")


def test_devices_are_bound_as_devices_before_the_folder_is_closed() -> None:
    gpu = Gpu(("/dev/nvidiactl",), (Bind(Path("/x/libcuda.so.1"), "/opt/lib/libcuda.so.1"),))
    words = Profile(gpu=gpu).command([], control=3, seccomp=4)
    at = words.index("--dev-bind")
    assert words[at + 1 : at + 3] == ["/dev/nvidiactl", "/dev/nvidiactl"]
    assert words.index("--dev") < at < words.index("--remount-ro")
    assert Profile(gpu=gpu).binds()[-1].target == "/opt/lib/libcuda.so.1"
    assert "--dev-bind" not in Profile().command([], control=3, seccomp=4)
