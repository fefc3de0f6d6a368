"""What machines ask of a web process: is it up, is it ready, what are the figures.

Answered before anything else: those who ask know this process by an address of their own, which
is in no list of hosts, have no session and may ask as often as they like.
"""

import ipaddress
import secrets
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from arena.operations import metrics, readiness

NOT_ALLOWED = 405


class ProbesMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self._get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse(status=NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        response = probe(request)
        response["Cache-Control"] = "no-store"
        response["X-Content-Type-Options"] = "nosniff"
        return response


def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process is up; whoever starts it again for less than that makes it worse."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether this process can do its part; why it can't is for the log, not for strangers."""
    found = readiness.find_out()
    is_ready = all(each.is_ok for each in found)
    answer = {
        "status": "ok" if is_ready else "unavailable",
        "checks": {each.check: "ok" if each.is_ok else "wrong" for each in found},
    }
    return JsonResponse(answer, status=200 if is_ready else 503)


def figures(request: HttpRequest) -> HttpResponse:
    """Give Prometheus the figures, to those who may read them."""
    if not may_read_figures(request):
        return HttpResponse("not for this address\n", status=403, content_type="text/plain")
    try:
        return HttpResponse(metrics.render(), content_type=metrics.CONTENT_TYPE)
    except (DatabaseError, InterfaceError):
        return HttpResponse("the database is away\n", status=503, content_type="text/plain")


def may_read_figures(request: HttpRequest) -> bool:
    """Ask for the token where there is one, else for a neighbour who asks without a proxy."""
    if token := settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return secrets.compare_digest(given.encode(), f"Bearer {token}".encode())
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False  # the proxy is a neighbour, those behind it need not be
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_private
    except ValueError:
        return False


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": figures,
}
