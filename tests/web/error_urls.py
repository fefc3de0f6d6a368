"""The site's addresses with one more for each page about an error; for tests only."""

from typing import NoReturn

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.urls import URLPattern, URLResolver, include, path
from django.views.csrf import csrf_failure

from arena import errors, urls
from arena.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def fail(_request: HttpRequest, status: int) -> NoReturn:
    if status == 400:
        raise SuspiciousOperation
    if status == 403:
        raise PermissionDenied
    if status == 404:
        raise Http404
    raise RuntimeError("broken on purpose")


urlpatterns: list[URLPattern | URLResolver] = [
    path("errors/429/", errors.too_many_requests),
    path("errors/csrf/", csrf_failure, {"reason": REASON_NO_CSRF_COOKIE}),
    path("errors/<int:status>/", fail),
    path("", include(urls)),
]
