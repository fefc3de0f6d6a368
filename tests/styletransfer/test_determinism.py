"""Flags that make torch repeat itself, and torchvision beside a torch it was not built for."""

import json
import os
import subprocess
import sys

import torch
from threadpoolctl import threadpool_info

from styletransfer.determinism import arithmetic, versions
from styletransfer.surrogate_weights import make_weights as make_surrogate
from styletransfer.surrogates import VGG
from styletransfer.torchvision_compat import import_torchvision
from styletransfer.vgg import Vgg19
from styletransfer.weights import load_vgg


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


def test_flags_and_threads_are_set_for_the_whole_process() -> None:
    found = json.loads(
        run(
            "import json, torch\n"
            "from styletransfer.determinism import arithmetic, make_deterministic\n"
            "torch.backends.cudnn.benchmark = True\n"
            "make_deterministic(threads=1)\n"
            "flags = [torch.are_deterministic_algorithms_enabled(),\n"
            "         torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark,\n"
            "         torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32]\n"
            "print(json.dumps([flags, arithmetic()['threads']]))"
        )
    )
    assert found == [[True, True, False, False, False], 1]


def openblas_kernels() -> list[str]:
    """Ask the library itself, as it was loaded with NumPy."""
    return [
        f"{each['version']} {each['architecture']}"
        for each in threadpool_info()
        if each["internal_api"] == "openblas"
    ]


def test_the_kernels_that_the_environment_chooses_are_named() -> None:
    command = "from styletransfer.determinism import arithmetic; print(arithmetic()['blas'])"
    for kernels in ("Haswell", "Nehalem"):
        done = subprocess.run(
            [sys.executable, "-c", command],
            env={**os.environ, "OPENBLAS_CORETYPE": kernels},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split()[-1] == kernels


def test_what_decides_about_the_last_bits_is_named() -> None:
    named = arithmetic()
    assert named.pop("blas") in (f"openblas {each}" for each in openblas_kernels())
    assert named == {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }
    assert set(versions()) == {"python", "machine", "libraries"}
    assert versions()["libraries"].keys() >= {"stylearena", "numpy", "onnxruntime"}
    json.dumps(arithmetic() | versions())


def test_pytorch_fid_imports_with_the_torchvision_that_is_installed() -> None:
    program = (
        "from styletransfer.torchvision_compat import import_torchvision\n"
        "first = import_torchvision()\n"
        "assert import_torchvision() is first\n"
        "from pytorch_fid import fid_score, inception\n"
        "assert inception.torchvision is first\n"
        "print('imported')"
    )
    assert run(program).strip() == "imported"


def test_vgg_features_are_torchvisions() -> None:
    import_torchvision()
    from torchvision.models.vgg import cfgs, make_layers

    peer = make_layers(cfgs["E"], batch_norm=False).eval()
    weights = {
        key.removeprefix("features."): torch.from_numpy(array)
        for key, array in make_surrogate(VGG).items()
    }
    peer.load_state_dict(weights)
    images = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    normalised = (images - Vgg19("relu1_1").mean) / Vgg19("relu1_1").std
    with torch.no_grad():
        expected = {
            "relu1_1": peer[:2](normalised),
            "relu4_2": peer[:23](normalised),
            "relu5_1": peer[:30](normalised),
        }
        found = load_vgg(VGG)[0].features(images, expected)
    for layer, maps in expected.items():
        assert (found[layer] - maps).norm() / maps.norm() < 1e-5, layer
