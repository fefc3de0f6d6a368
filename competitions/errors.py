"""What can go wrong in the domain; ``arena.errors`` alone turns these into HTTP answers."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise


class DomainError(Exception):
    """A request that can't be met, with a stable ``code`` and what to do next."""

    def __init__(self, code: str, detail: "str | Promise", **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.facts: Mapping[str, Any] = facts

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class Invalid(DomainError):
    """The file, the manifest or another value can't be used as it is."""


class Forbidden(DomainError):
    """Known, but not allowed: the phase is closed, or the user is not a participant."""


class Conflict(DomainError):
    """Another act came first: a duplicate, a race that was lost, a submission that ended."""


class TooLarge(DomainError):
    """More bytes than the phase takes."""


class QuotaSpent(DomainError):
    """No submission left for now; facts: ``limit``, ``used``, ``next_allowed_at``."""


class Unavailable(DomainError):
    """The platform can't do this now; nothing was lost and nothing is charged."""
