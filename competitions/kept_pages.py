"""Pages that all visitors who are not logged in see alike: made once, kept in the shared cache.

Of many requests that find nothing kept, one makes the page and the others wait for it. A page is
made anew as soon as what it shows is published, and after a few seconds in any case.
"""

import hashlib
import re
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Concatenate
from uuid import uuid4

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

View = Callable[Concatenate[HttpRequest, int, ...], HttpResponse]

# Searches differ from visitor to visitor: keeping them would only push out what many ask for.
_PARAMETERS = {"page", "top", "seen", "bare"}
_LONGEST_QUERY = 100
_HEADERS = ("HX-Request",)
_TOKEN = re.compile(rb'(name="csrfmiddlewaretoken" value=")[A-Za-z0-9]+(")')
_VERSION_KEPT_S = 24 * 3600
# Longer than a board takes; whoever makes it may be killed, and then the next one does.
_MAKING_S = 10
_LOOK_EVERY_S = 0.02


def keep_page(view: View) -> View:
    """Keep what a view of a phase answers to visitors, a page for each language and query."""

    @wraps(view)
    def look_or_make(request: HttpRequest, phase_id: int, *args: Any, **kwargs: Any) -> Any:
        if not _is_anybody(request):
            return view(request, phase_id, *args, **kwargs)
        key = _key(request, phase_id)
        kept = cache.get(key)
        if kept is None:
            lock = f"{key}:making"
            if cache.add(lock, True, timeout=_MAKING_S):
                try:
                    # Somebody may have made it between the look and the lock.
                    if (kept := cache.get(key)) is None:
                        return _make(view, request, phase_id, key)
                finally:
                    cache.delete(lock)
            else:
                kept = _wait(key, lock)
        if kept is None:  # whoever made it failed, or it isn't for everybody
            return view(request, phase_id, *args, **kwargs)
        return _answer(request, kept)

    return look_or_make


def forget_pages(phase_id: int) -> None:
    """Have the pages of a phase made anew, once what changed is really there."""
    transaction.on_commit(
        partial(cache.set, _version_key(phase_id), uuid4().hex, timeout=_VERSION_KEPT_S)
    )


def _is_anybody(request: HttpRequest) -> bool:
    """Tell whether nothing of the answer depends on who asks."""
    query = request.META.get("QUERY_STRING", "")
    return (
        settings.PAGES_KEPT_S > 0
        and request.method == "GET"
        and settings.SESSION_COOKIE_NAME not in request.COOKIES
        and "messages" not in request.COOKIES
        and len(query) <= _LONGEST_QUERY
        and set(request.GET) <= _PARAMETERS
    )


def _key(request: HttpRequest, phase_id: int) -> str:
    parts = [request.get_host(), request.path, request.META.get("QUERY_STRING", "")]
    parts += [get_language() or "", get_current_timezone_name()]
    parts += [request.headers.get(name, "") for name in _HEADERS]
    parts.append(str(cache.get(_version_key(phase_id), "")))
    return f"page:{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def _version_key(phase_id: int) -> str:
    return f"pages-of:{phase_id}"


def _make(view: View, request: HttpRequest, phase_id: int, key: str) -> HttpResponse:
    response = view(request, phase_id)
    if response.status_code in (200, 204) and not response.cookies:
        kept = (response.status_code, dict(response.items()), response.content)
        cache.set(key, kept, timeout=settings.PAGES_KEPT_S)
    return response


def _wait(key: str, lock: str) -> Any:
    end = time.monotonic() + _MAKING_S
    while time.monotonic() < end:
        if (kept := cache.get(key)) is not None or cache.get(lock) is None:
            return kept if kept is not None else cache.get(key)
        time.sleep(_LOOK_EVERY_S)
    return None


def _answer(request: HttpRequest, kept: Any) -> HttpResponse:
    """Give a kept page to one visitor, whose forms carry a token of their own."""
    status, headers, content = kept
    if _TOKEN.search(content):
        token = get_token(request).encode()
        content = _TOKEN.sub(rb"\g<1>" + token + rb"\g<2>", content)
    return HttpResponse(content, status=status, headers=headers)
