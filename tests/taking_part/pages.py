"""Ask for pages as a browser without scripts does."""

from datetime import timedelta
from html import unescape

from django.test import Client
from django.urls import reverse

from arena.accounts.models import User
from competitions.models import Competition
from tests.factories import make_user

DAY = timedelta(days=1)


def read(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, url
    return unescape(response.content.decode())


def logged_in(user: User | None = None) -> Client:
    client = Client()
    client.force_login(user or make_user())
    return client


def page(name: str, competition: Competition) -> str:
    return reverse(name, args=[competition.slug])
