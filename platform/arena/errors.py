"""Turn every error into an HTTP answer, in this one place (RFC 9457, problem details)."""

import errno
import logging
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    UnreadablePostError,
)
from django.shortcuts import render
from django.template.loader import get_template
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from competitions.errors import DomainError, QuotaSpent, Unavailable

log = logging.getLogger(__name__)

API_PREFIX = "/api/"
MEDIA_TYPE = "application/problem+json"
RETRY_SOON_S = 30
RETRY_MINUTE_S = 60
RETRY_TOMORROW_S = 86_400
# tus has a status of its own.
_TITLES = {460: "Checksum Mismatch"}


@dataclass(frozen=True)
class Problem:
    """One answer to a request that failed: what is said, and the headers that go with it."""

    status: int
    code: str
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        # With "about:blank" the title is the status's own phrase; `code` tells problems apart.
        named = {
            "type": "about:blank",
            "title": _TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return {**self.facts, **named}


def to_response(error: Exception, context: Mapping[str, Any]) -> Response:
    """Answer an error that left an API view; Django REST framework calls this."""
    problem = describe(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        request = context.get("request")
        path = request.path if request is not None else "?"
        log.error("%s %s: %s", problem.status, path, problem.code, exc_info=error)
    return Response(
        problem.to_json(),
        status=problem.status,
        headers=dict(problem.headers),
        content_type=MEDIA_TYPE,
    )


def describe(error: Exception) -> Problem:
    """Say what an error means for whoever sent the request; never more than they may know."""
    match error:
        case DomainError():
            return _describe_domain(error)
        case exceptions.APIException():
            return _describe_framework(error)
        case Http404():
            return Problem(404, "not_found", _("There is nothing here, or nothing you may see."))
        case PermissionDenied():
            return Problem(403, "permission_denied", _("You may not do this."))
        case ValidationError():
            return Problem(400, "invalid", " ".join(error.messages))
        case RequestDataTooBig():
            return Problem(413, "too_large", _("A text field of the request is too long."))
        case SuspiciousOperation() | BadRequest():
            return Problem(400, "bad_request", _("The request could not be understood."))
        case UnreadablePostError():
            return Problem(400, "upload_interrupted", _("The upload broke off: send it again."))
        case _:
            return _describe_platform(error)


def _describe_domain(error: DomainError) -> Problem:
    headers = {}
    if isinstance(error, QuotaSpent):
        headers = {"Retry-After": str(_seconds_until_quota(error))}
    elif isinstance(error, Unavailable):
        headers = {"Retry-After": str(RETRY_SOON_S)}
    elif wait := error.facts.get("wait_s"):
        headers = {"Retry-After": str(wait)}
    return Problem(error.http_status, error.code, str(error.detail), error.facts, headers)


def _seconds_until_quota(error: QuotaSpent) -> int:
    next_allowed_at: datetime | None = error.facts.get("next_allowed_at")
    if next_allowed_at is not None:
        return max(1, math.ceil((next_allowed_at - now()).total_seconds()))
    # A submission in progress ends at any time; a total only grows if an organizer grants more.
    return RETRY_SOON_S if error.facts.get("quota") == "concurrent" else RETRY_TOMORROW_S


def _describe_framework(error: exceptions.APIException) -> Problem:
    """Describe what Django REST framework raises before a view's own code runs."""
    headers: dict[str, str] = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(
            max(1, math.ceil(getattr(error, "wait", None) or RETRY_SOON_S))
        )
        detail = _("Too many requests in a short time: wait, then go on.")
        return Problem(429, "throttled", detail, headers=headers)
    if isinstance(error, exceptions.ValidationError):
        return Problem(400, "invalid", _("The request can't be used."), {"errors": error.detail})
    code = error.get_codes()
    return Problem(error.status_code, str(code), str(error.detail), headers=headers)


def _describe_platform(error: Exception) -> Problem:
    retry = {"Retry-After": str(RETRY_SOON_S)}
    match error:
        case IntegrityError():
            detail = _("Somebody else was faster. Look at the present state, then try again.")
            return Problem(409, "conflict", detail)
        case OperationalError() | InterfaceError():
            detail = _("The database is busy or out of reach. Try again in a minute.")
            return Problem(503, "database_unavailable", detail, headers=retry)
        case DataError():
            return Problem(400, "bad_value", _("A value in the request can't be stored."))
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            detail = _("There is no room left on the site. Tell the organizers, then try again.")
            return Problem(507, "storage_full", detail, headers=retry)
        case OSError():
            detail = _("Files can't be read or stored at the moment. Try again in a minute.")
            return Problem(503, "storage_unavailable", detail, headers=retry)
        case _:
            detail = _("Something went wrong on our side. It is not your fault and was logged.")
            return Problem(500, "internal_error", detail)


# --- Errors outside API views: the handlers that arena.urls names ------------------------------
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _is_for_api(request):
        return defaults.bad_request(request, exception)
    return _answer(describe(exception))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _is_for_api(request):
        return defaults.permission_denied(request, exception)
    return _answer(describe(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _is_for_api(request):
        return defaults.page_not_found(request, exception)
    return _answer(describe(exception))


def too_many_requests(request: HttpRequest) -> HttpResponseBase:
    """Answer whoever logs in, signs up or asks for mails too often; allauth calls this."""
    answer = render(request, "429.html", status=HTTPStatus.TOO_MANY_REQUESTS)
    answer["Retry-After"] = str(RETRY_MINUTE_S)
    return answer


def server_error(request: HttpRequest) -> HttpResponseBase:
    error = sys.exc_info()[1]
    problem = describe(error if isinstance(error, Exception) else RuntimeError())
    if _is_for_api(request):
        return _answer(problem)
    if "Retry-After" not in problem.headers:
        return defaults.server_error(request)
    # Without the request: who asks stands in the database, which may be what is away.
    page = get_template("503.html").render({"problem": problem})
    return HttpResponse(page, status=problem.status, headers=dict(problem.headers))


def _is_for_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(API_PREFIX)


def _answer(problem: Problem) -> HttpResponseBase:
    return JsonResponse(
        problem.to_json(),
        status=problem.status,
        headers=dict(problem.headers),
        content_type=MEDIA_TYPE,
    )
