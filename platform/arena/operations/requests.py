"""Each request gets an id, which is in its answer and in every line it leaves in the logs."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
# From a proxy, which may name them; anything else could write what it likes into our logs.
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        request_id = given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        # A thread serves many requests: what one has bound must not be left to the next.
        structlog.contextvars.clear_contextvars()
        with structlog.contextvars.bound_contextvars(request=request_id):
            response = self._get_response(request)
            response[HEADER] = request_id
            match = request.resolver_match
            facts = {
                "method": request.method,
                # Not the path: some are keys, and as good as a log-in.
                "route": match.route if match else "",
                "status": response.status_code,
                "milliseconds": round((time.perf_counter() - started) * 1000),
            }
            log.info("answered", extra=facts)
        structlog.contextvars.clear_contextvars()
        return response

    def process_view(
        self, request: HttpRequest, view: Any, arguments: Any, named: dict[str, Any]
    ) -> None:
        """Let lines about a submission say which."""
        if "uuid" in named:
            structlog.contextvars.bind_contextvars(submission=str(named["uuid"]))
