"""Import torchvision where its compiled operators do not fit the installed torch.

A torchvision wheel built for another torch (PyPI's beside a CPU-only torch, say) fails at import,
because it describes an operator it could not register. Nothing here needs that operator; only
pytorch-fid, whose network the FID runs on, imports torchvision at all.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch

_SYMPTOM = "operator torchvision::nms does not exist"
# Kept for the process's life: the operators disappear with it.
_library: torch.library.Library | None = None


def import_torchvision() -> ModuleType:
    """Return torchvision; without its own operators where they can't be loaded."""
    with _without_compiler():
        return _import()


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Keep torchvision's import from loading torch's compiler, which takes most of its time.

    One operator asks it whether it may be compiled; told that it may not be, it runs as ever.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    package, asked = ModuleType("torch._dynamo"), ModuleType("torch._dynamo.utils")
    asked.is_compile_supported = lambda device_type: False  # type: ignore[attr-defined]
    package.utils = asked  # type: ignore[attr-defined]
    stand_ins = {module.__name__: module for module in (package, asked)}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _import() -> ModuleType:
    global _library
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    if _library is None:
        _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            signature = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            _library.define(signature)  # type: ignore[no-untyped-call]
    return importlib.import_module("torchvision")
