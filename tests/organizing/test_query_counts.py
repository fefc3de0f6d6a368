"""Lists ask the database as often for two competitions' rows as for one's."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from competitions.admin.base import OrganizerAdmin
from tests.organizing.scene import make_scene

pytestmark = pytest.mark.django_db

LISTS = [
    f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    for model, page in admin.site._registry.items()
    if isinstance(page, OrganizerAdmin)
]


def count_queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_lists_need_the_same_queries_however_long() -> None:
    one, two, three = make_scene("alfa"), make_scene("bravo"), make_scene("charlie")
    client = one.client
    two.competition.organizers.add(one.organizer)  # a filter appears with the second competition
    before = {name: count_queries(client, reverse(name)) for name in LISTS}
    three.competition.organizers.add(one.organizer)
    after = {name: count_queries(client, reverse(name)) for name in LISTS}
    assert after == before
