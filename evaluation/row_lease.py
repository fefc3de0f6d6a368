"""Holding a row of the database while a worker is busy with it."""

from collections.abc import Mapping
from typing import Any, Protocol

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from evaluation.lease import PlatformAway


def next_expiry() -> Combinable:
    """Return when a lease taken now runs out, by the database's clock: a worker's may be wrong."""
    return Now() + settings.EVALUATION_LEASE


class Row(Protocol):
    """What can be claimed: a submission, or a preparation."""

    def renew(self, *, lease_expires_at: Combinable, **progress: Any) -> bool:
        """Keep the lease; return False if this attempt no longer holds the row."""


class RowHold:
    """The hold of a worker inside on a row."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def __repr__(self) -> str:
        return repr(self._row)

    @property
    def lease_s(self) -> float:
        return float(settings.EVALUATION_LEASE.total_seconds())

    @property
    def heartbeat_s(self) -> float:
        return float(settings.EVALUATION_HEARTBEAT.total_seconds())

    def renew(self, progress: Mapping[str, Any]) -> bool:
        try:
            return self._keep(progress)
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            raise PlatformAway(str(error)) from error

    def _keep(self, progress: Mapping[str, Any]) -> bool:
        return self._row.renew(lease_expires_at=next_expiry(), **progress)

    def let_go(self) -> None:
        connection.close()  # the renewing thread's own
