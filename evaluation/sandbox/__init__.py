"""Run an untrusted generator where it can reach nothing: see docs/architecture.md.

Importing this package imports neither torch nor Django.
"""

from evaluation.sandbox.pool import SandboxPool
from evaluation.sandbox.self_testing import self_test
from evaluation.sandbox.values import (
    GeneratorJob,
    GeneratorResult,
    Limits,
    SandboxStopped,
    SandboxUnavailable,
)

__all__ = [
    "GeneratorJob",
    "GeneratorResult",
    "Limits",
    "SandboxPool",
    "SandboxStopped",
    "SandboxUnavailable",
    "self_test",
]
