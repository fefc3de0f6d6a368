"""Run an untrusted generator where it can reach nothing: see docs/architecture.md.

Importing this package imports neither torch nor Django.
"""

from evaluation.sandbox.pool import SandboxPool
from evaluation.sandbox.self_testing import self_test
from evaluation.sandbox.values import (
    GeneratorJob,
    Limits,
    SandboxStopped,
    SandboxUnavailable,
    Stylised,
)

__all__ = [
    "GeneratorJob",
    "Limits",
    "SandboxPool",
    "SandboxStopped",
    "SandboxUnavailable",
    "Stylised",
    "self_test",
]
