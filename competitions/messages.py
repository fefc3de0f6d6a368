"""Messages to workers: hints only, for the row in the database is the truth."""

import logging
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from competitions.queues import key_prefix

log = logging.getLogger(__name__)


def send(task: str, *, queue: str, row: object) -> bool:
    """Tell the workers of ``queue`` of a row that waits; return whether the message went out.

    Tasks are named by string, so that the web tier never imports a worker's code. If no message
    can be sent, or it is lost, the sweeper sends another.
    """
    try:
        from kombu import pools  # with the first message: most web processes need none

        with pools.producers[connect(queue)].acquire(block=True) as producer:
            _celery().send_task(task, args=[str(row)], queue=queue, retry=False, producer=producer)
    except Exception:  # each broker has errors of its own, and none may do harm
        log.warning("no broker: %s of %s waits for the sweeper", task, row, exc_info=True)
        return False
    return True


def unread(queue: str) -> int:
    """Count the messages that wait in ``queue``; 0 if that can't be found out."""
    try:
        return count(queue)
    except Exception:  # noqa: BLE001 - as above
        return 0


def count(queue: str) -> int:
    """Count the messages that wait in ``queue``; raise what the broker does if it is away."""
    with connect(queue) as connection:
        channel: Any = connection.default_channel
        return int(channel._size(queue))


def connect(queue: str) -> Any:
    """Return a connection that uses the keys of a queue."""
    options = _celery().conf.broker_transport_options or {}
    prefixed = {**options, "global_keyprefix": key_prefix(queue)}
    return _celery().connection_for_write(transport_options=prefixed)


def _celery() -> Any:
    # Loaded with the first message: a web process that takes no submission needs no Celery.
    return import_string(settings.CELERY_APP)
