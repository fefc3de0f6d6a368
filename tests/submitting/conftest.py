import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from arena.accounts.models import User
from competitions.models import Phase, Team
from tests.factories import make_phase, make_team, make_user
from tests.submitting.browsing import PASSWORD, log_in
from tests.uploads import make_upload

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

FIELDS: dict[str, Any] = {
    "format": "onnx",
    "content_input": "content",
    "style_input": "",
    "input_range": "0..1",
    "output_range": "0..255",
    "channel_order": "RGB",
    "size_rule": "multiple_of",
    "multiple_of": "4",
}
# Leaves a field out of what is sent.
LEFT_OUT = object()


@dataclass(frozen=True)
class Sender:
    """A participant of an open phase, with a browser that keeps to the rules on forms."""

    user: User
    team: Team
    phase: Phase
    client: Client

    @property
    def url(self) -> str:
        return reverse("submit", args=[self.phase.pk])

    def get(self) -> Any:
        return self.client.get(self.url)

    def send(self, checkpoint: Any = None, **fields: Any) -> Any:
        body = {**FIELDS, "checkpoint": checkpoint or make_upload(), **fields}
        return self.client.post(
            self.url, {name: value for name, value in body.items() if value is not LEFT_OUT}
        )


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    """Return what the page says is wrong, by field; ``""`` for what is about no single one."""
    form = response.context["form"]  # type: ignore[attr-defined]
    found = {name: list(map(str, errors)) for name, errors in form.errors.items()}
    text = response.content.decode()
    for errors in found.values():
        for error in errors:
            assert re.split("[<'\"]", error)[0].strip() in text, "not on the page"
    return {"" if name == "__all__" else name: errors for name, errors in found.items()}


@pytest.fixture(autouse=True)
def _no_throttle_history() -> None:
    cache.clear()


@pytest.fixture
def enter() -> Callable[..., Sender]:
    def make(phase: Phase | None = None, **fields: Any) -> Sender:
        phase = phase or make_phase(**fields)
        user = make_user()
        client = Client()
        client.force_login(user)
        return Sender(user, make_team(user, phase=phase), phase, client)

    return make


@pytest.fixture
def sender(enter: Callable[..., Sender], db: None) -> Sender:
    return enter()


# --- In a browser --------------------------------------------------------------------------------
@pytest.fixture
def complaints(page: "Page") -> Iterator[list[str]]:
    """Collect what the browser objects to; answers that refuse are no trouble of the page's."""
    heard: list[str] = []

    def listen(message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            heard.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    assert heard == []


@pytest.fixture
def member(live_server: LiveServer) -> User:
    return make_user(username="alice", password=PASSWORD)


@pytest.fixture
def phase(live_server: LiveServer) -> Phase:
    return make_phase(max_checkpoint_bytes=3_000_000, quota_concurrent=9)


@pytest.fixture
def team(member: User, phase: Phase) -> Team:
    return make_team(member, phase=phase)


@pytest.fixture
def form(page: "Page", live_server: LiveServer, phase: Phase, team: Team) -> "Page":
    """Open the form as a participant."""
    log_in(page, live_server)
    page.goto(live_server.url + reverse("submit", args=[phase.pk]))
    return page
