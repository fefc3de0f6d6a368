"""Visit the pages of the table in a browser, as anyone, in either language and theme."""

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from arena.accounts.models import User
from tests.web.pages import PageCase
from tests.web.scene import Scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Response

Scheme = Literal["light", "dark"]
LOCALES = {"en": "en-US", "zh-hans": "zh-CN"}
WAIT_MS = 60_000
A_DAY_S = 86_400
# Pictures further down load when they come into view: all are asked for, then waited for.
_ALL_PICTURES = """async () => {
    for (const image of document.images) image.loading = "eager";
    await document.fonts.ready;
    await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
}"""


class Visitor:
    """Opens pages of one site; a browser session for each person, language and theme."""

    def __init__(self, browser: "Browser", url: str, scene: Scene) -> None:
        self._browser = browser
        self._url = url
        self._scene = scene
        self._contexts: dict[tuple[Any, ...], BrowserContext] = {}

    def open(
        self,
        case: PageCase,
        *,
        language: str = "en",
        scheme: Scheme = "light",
        width: int = 1280,
        scripts: bool = True,
    ) -> "Page":
        """Open a page and do there what the case does; the caller closes it."""
        page = self._context(case.who, language, scheme, scripts).new_page()
        page.set_default_timeout(WAIT_MS)
        page.set_viewport_size({"width": width, "height": 900})
        answer = page.goto(self._url + case.path(self._scene))
        self._require_status(case, answer)
        if case.who in {"organizer", "administrator"}:
            assert page.url == self._url + case.path(self._scene), f"{case.name}: at {page.url}"
        if case.act is not None:
            case.act(page)
        return page

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()
        self._contexts.clear()

    def _context(self, who: str, language: str, scheme: Scheme, scripts: bool) -> "BrowserContext":
        key = (who, language, scheme, scripts)
        if key not in self._contexts:
            context = self._browser.new_context(
                locale=LOCALES[language],
                color_scheme=scheme,
                java_script_enabled=scripts,
                reduced_motion="reduce",
                timezone_id="UTC",
            )
            if who != "visitor":
                value = _log_in(self._scene.people[who])
                name = settings.SESSION_COOKIE_NAME
                context.add_cookies([{"name": name, "value": value, "url": self._url}])
            self._contexts[key] = context
        return self._contexts[key]

    @staticmethod
    def _require_status(case: PageCase, answer: "Response | None") -> None:
        assert answer is not None
        assert answer.status == case.status, f"{case.name}: {answer.status} at {answer.url}"


def wait_for_pictures(page: "Page") -> None:
    page.evaluate(_ALL_PICTURES)


def _log_in(user: User) -> str:
    """Make the session of somebody who logged in and gave their password once more just now."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session["account_authentication_methods_user"] = str(user.pk)
    session["account_authentication_methods"] = [
        # A run takes longer than having proved once more who one is counts.
        {"method": "password", "at": time.time() + A_DAY_S, "reauthenticated": True}
    ]
    session.create()
    UserSession.objects.create(
        user=user,
        session_key=session.session_key,
        ip="192.0.2.7",
        user_agent="Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36",
    )
    return str(session.session_key)
