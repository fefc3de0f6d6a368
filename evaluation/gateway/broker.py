"""What a worker elsewhere may do at the broker: a user of its own that sees one queue's keys."""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from competitions.errors import Conflict, Unavailable
from competitions.queues import key_prefix
from evaluation.worker_token import WorkerToken

TIMEOUT_S = 5.0
# What Celery's worker sends when remote control, events, gossip and mingle are off. Scripts run
# under the same limits as whoever calls them.
COMMANDS = (
    *("auth", "hello", "ping", "select", "client|setname", "info"),
    *("brpop", "rpop", "rpush", "lpush", "llen", "lrem", "del", "exists"),
    *("hget", "hset", "hdel", "hlen", "zadd", "zrem", "zrange", "zrevrangebyscore"),
    *("sadd", "srem", "smembers", "set", "get", "pexpire", "expire"),
    *("watch", "unwatch", "multi", "exec", "discard", "evalsha", "script|load", "time"),
)


def require_reachable() -> None:
    """Make sure that workers elsewhere can be told of work.

    Raises:
        Conflict: the messages are files of this machine.
    """
    if not settings.REDIS_URL:
        raise Conflict(
            "no_broker",
            _(
                "This site keeps its messages in a folder of its own machine, which no worker "
                "elsewhere can read. Its operator has to run Redis and set REDIS_URL."
            ),
        )


def grant(token: WorkerToken) -> str:
    """Let a token's workers at their queue, and nothing else; return the address for them.

    May be repeated: the same token always gets the same user and password, so that what Redis
    forgot in a restart is there again.

    Raises:
        Conflict: there is no Redis.
        Unavailable: Redis is away or does not let us make users.
    """
    require_reachable()
    prefix = key_prefix(token.queue)
    name, password = _user_of(token), _password_of(token)
    rules = ["reset", "on", f">{password}", f"~{prefix}*", f"&{prefix}*", "-@all"]
    _ask("ACL", "SETUSER", name, *rules, *(f"+{command}" for command in COMMANDS))
    return _address(name, password)


def is_granted(token: WorkerToken) -> bool:
    """Say whether Redis knows a token's user; one that was started anew may not.

    Raises:
        Unavailable: as above.
    """
    return _ask("ACL", "GETUSER", _user_of(token)) is not None


def withdraw(token: WorkerToken) -> None:
    """Take a token's user away, which cuts the connections it has.

    Raises:
        Unavailable: as above.
    """
    if settings.REDIS_URL:
        _ask("ACL", "DELUSER", _user_of(token))


def _ask(*command: str) -> Any:
    import redis  # web processes that no worker joins through need none

    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        ) as client:
            return client.execute_command(*command)
    except redis.RedisError as error:
        raise Unavailable(
            "broker_unavailable",
            _("Redis is away, or does not let this site make users: tell the site’s operator."),
        ) from error


def _user_of(token: WorkerToken) -> str:
    return f"arena-worker-{token.pk}"


def _password_of(token: WorkerToken) -> str:
    told = f"broker password of worker token {token.pk} {token.key_sha256}"
    return hmac.new(settings.SECRET_KEY.encode(), told.encode(), hashlib.sha256).hexdigest()


def _address(name: str, password: str) -> str:
    parts = urlsplit(settings.WORKER_BROKER_URL)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{password}@{host}"))
