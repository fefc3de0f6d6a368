"""What can go wrong in the domain; forms show it, ``arena.errors`` makes HTTP answers of it."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise


class DomainError(Exception):
    """A request that can't be met, with a stable ``code`` and what to do next."""

    http_status: int

    def __init__(self, code: str, detail: "str | Promise", **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.facts: Mapping[str, Any] = facts

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class Invalid(DomainError):
    """The file, the manifest or another value can't be used as it is."""

    http_status = 400


class Forbidden(DomainError):
    """Known, but not allowed: the phase is closed, or the user is not a participant."""

    http_status = 403


class Conflict(DomainError):
    """Another act came first: a duplicate, a race that was lost, a submission that ended."""

    http_status = 409


class TooLarge(DomainError):
    """More bytes than the phase takes."""

    http_status = 413


class QuotaSpent(DomainError):
    """No submission left for now; facts: ``limit``, ``used``, ``next_allowed_at``."""

    http_status = 429


class ChecksumMismatch(DomainError):
    """What arrived is not what was sent."""

    http_status = 460


class Gone(DomainError):
    """It was there, and is not any more."""

    http_status = 410


class Locked(DomainError):
    """Somebody else is writing to it at this moment."""

    http_status = 423


class TooMany(DomainError):
    """Too much at once, or in a short time; facts: ``wait_s`` where waiting helps."""

    http_status = 429


class Unavailable(DomainError):
    """The platform can't do this now; nothing was lost and nothing is charged."""

    http_status = 503


class StorageFull(Unavailable):
    """The platform has no room for the file."""

    http_status = 507
