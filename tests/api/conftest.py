from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from arena.accounts.models import ApiToken, User
from competitions.models import Phase, Team
from tests.factories import make_phase, make_team, make_user


@pytest.fixture(autouse=True)
def _no_throttle_history() -> None:
    cache.clear()


def client_for(user: User | None = None) -> APIClient:
    """Return a program's view of the interface: a token, no session."""
    client = APIClient()
    if user is not None:
        _token, key = ApiToken.issue(user, name="test")
        client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


@dataclass(frozen=True)
class Entrant:
    """A participant who may submit to an open phase."""

    user: User
    team: Team
    phase: Phase
    client: APIClient

    @property
    def url(self) -> str:
        return f"/api/v1/phases/{self.phase.pk}/submissions/"

    def submit(self, body: dict[str, Any]) -> Any:
        return self.client.post(self.url, body, format="multipart")


@pytest.fixture
def enter() -> Callable[..., Entrant]:
    def make(phase: Phase | None = None, **fields: Any) -> Entrant:
        phase = phase or make_phase(**fields)
        user = make_user()
        return Entrant(user, make_team(user, phase=phase), phase, client_for(user))

    return make


@pytest.fixture
def entrant(enter: Callable[..., Entrant], db: None) -> Entrant:
    return enter()


@pytest.fixture
def anybody(db: None) -> APIClient:
    return client_for()
