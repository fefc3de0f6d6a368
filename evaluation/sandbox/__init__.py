"""Run an untrusted generator where it can reach nothing: see docs/architecture.md.

Importing this package imports neither torch nor Django.
"""

from evaluation.sandbox.pool import SandboxPool
from evaluation.sandbox.self_testing import LeakySandbox, self_test
from evaluation.sandbox.values import (
    GeneratorJob,
    Limits,
    SandboxStopped,
    SandboxUnavailable,
    Stylised,
)
from evaluation.sandbox.walls import Finding

__all__ = [
    "Finding",
    "GeneratorJob",
    "LeakySandbox",
    "Limits",
    "SandboxPool",
    "SandboxStopped",
    "SandboxUnavailable",
    "Stylised",
    "self_test",
]
