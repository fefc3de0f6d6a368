"""The generators a manifest may name by architecture, without torch.

Every other module of this package is one architecture: its bounds, the names and shapes of its
weights as public checkpoints have them, and how it paints. To add one, add a file with an
`ARCHITECTURE` and a test; nothing else lists them.
"""

import importlib
import pkgutil

from styletransfer.architectures.description import (
    Architecture,
    Layers,
    Parameter,
    Shapes,
    count_elements,
)

__all__ = ["ARCHITECTURES", "Architecture", "Layers", "Parameter", "Shapes", "count_elements"]

_NO_ARCHITECTURE = "description"


def _discover() -> dict[str, Architecture]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [
        importlib.import_module(f"{__name__}.{name}").ARCHITECTURE
        for name in names
        if name != _NO_ARCHITECTURE
    ]
    return {architecture.name: architecture for architecture in found}


ARCHITECTURES: dict[str, Architecture] = _discover()
