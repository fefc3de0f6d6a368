"""The shared cache in Redis, which the site can do without: it keeps nothing that is not elsewhere.

While Redis is away all is forgotten: pages are made anew, and attempts go uncounted.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

# So long nobody asks again: a host that is gone answers by a timeout only.
PAUSE_S = 2.0
# What a cache answers that keeps nothing, from the arguments of the call.
ANSWERS: dict[str, Callable[..., Any]] = {
    "add": lambda *_, **__: True,
    "get": lambda key, default=None, **__: default,
    "set": lambda *_, **__: None,
    "touch": lambda *_, **__: False,
    "delete": lambda *_, **__: False,
    "get_many": lambda *_, **__: {},
    "has_key": lambda *_, **__: False,
    "incr": lambda key, delta=1, **__: delta,
    "set_many": lambda *_, **__: [],
    "delete_many": lambda *_, **__: None,
    "clear": lambda *_, **__: False,
}


class ForgivingRedisCache(RedisCache):
    resumes_at = 0.0

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        for name, answer in ANSWERS.items():
            setattr(self, name, self._forgiving(getattr(self, name), answer))

    def _forgiving(self, ask: Callable[..., Any], answer: Callable[..., Any]) -> Callable[..., Any]:
        def ask_or_go_on(*args: Any, **kwargs: Any) -> Any:
            if time.monotonic() < ForgivingRedisCache.resumes_at:
                return answer(*args, **kwargs)
            try:
                return ask(*args, **kwargs)
            except (RedisError, OSError):
                log.warning("the cache is away: going on without it", exc_info=True)
                ForgivingRedisCache.resumes_at = time.monotonic() + PAUSE_S
                return answer(*args, **kwargs)

        return ask_or_go_on
