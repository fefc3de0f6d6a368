"""Every page of the admin, as an organizer: nothing of another's competition is there.

The pages come from the admin's registry, so that a new one is covered as soon as it is registered.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import FileField, ForeignKey, ManyToManyField, Model
from django.test import Client
from django.urls import NoReverseMatch, reverse

from competitions.admin.base import OrganizerAdmin
from tests.organizing.scene import Scene, make_scene

pytestmark = pytest.mark.django_db

OWN, OTHER = "alfa", "bravo"
PAGES = {
    model._meta.label_lower: page
    for model, page in admin.site._registry.items()
    if isinstance(page, OrganizerAdmin)
}
every_page = pytest.mark.parametrize("label", sorted(PAGES))


@pytest.fixture
def own() -> Scene:
    return make_scene(OWN)


@pytest.fixture(autouse=True)
def other() -> Scene:
    return make_scene(OTHER)


def address(model: type[Model], name: str, *args: object) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=args)


def text_of(client: Client, url: str) -> str:
    response = client.get(url, follow=True)
    assert response.status_code in {200, 403, 404}, url
    return response.content.decode()


def snapshot(scene: Scene) -> list[dict[str, Any]]:
    """Return all columns of all rows, so that whatever was written shows."""
    return [
        type(row)._default_manager.filter(pk=row.pk).values().get()  # fails if it is gone
        for row in scene.rows
    ]


def actions_of(page: ModelAdmin[Any]) -> Iterator[str]:
    yield "delete_selected"  # whether offered or not
    for action in page.actions or ():
        yield action if isinstance(action, str) else action.__name__


def test_every_model_that_organizers_work_with_is_limited() -> None:
    assert {
        "competitions.competition",
        "competitions.phase",
        "competitions.scoringrecipe",
        "competitions.announcement",
        "competitions.referenceset",
        "competitions.referenceimage",
        "competitions.team",
        "competitions.participant",
        "submissions.submission",
        "evaluation.evaluationrun",
    } <= set(PAGES)


def test_pages_that_are_not_limited_are_for_administrators(own: Scene) -> None:
    client = own.client
    for model, page in admin.site._registry.items():
        if not isinstance(page, OrganizerAdmin):
            assert client.get(address(model, "changelist")).status_code == 403, model


@every_page
def test_a_list_shows_own_rows_and_hides_others(own: Scene, label: str) -> None:
    page = PAGES[label]
    url = address(page.model, "changelist")
    text = text_of(own.client, url)
    assert any(address(page.model, "change", row.pk) in text for row in own.rows_of(page.model))
    for query in ("", f"?q={OTHER[:-1]}", "?all=", "?_facets=True"):
        assert OTHER not in text_of(own.client, url + query), query


@every_page
def test_pages_of_anothers_rows_are_not_there(own: Scene, other: Scene, label: str) -> None:
    page = PAGES[label]
    for row in other.rows_of(page.model):
        for name in ("change", "delete", "history"):
            url = address(page.model, name, row.pk)
            text = text_of(own.client, url)
            assert OTHER not in text, url
            missing = text_of(own.client, url.replace(str(row.pk), "987654321"))
            assert ("doesn’t exist" in text) == ("doesn’t exist" in missing), url


@every_page
def test_forms_offer_nothing_of_anothers(own: Scene, label: str) -> None:
    page = PAGES[label]
    assert OTHER not in text_of(own.client, address(page.model, "add"))
    for row in own.rows_of(page.model):
        assert own.client.get(address(page.model, "change", row.pk)).status_code == 200
        assert OTHER not in text_of(own.client, address(page.model, "change", row.pk))
        assert OTHER not in text_of(own.client, address(page.model, "delete", row.pk))
        assert OTHER not in text_of(own.client, address(page.model, "history", row.pk))


@every_page
def test_anothers_rows_can_be_neither_changed_nor_deleted(
    own: Scene, other: Scene, label: str
) -> None:
    page = PAGES[label]
    before = snapshot(other)
    client = own.client
    for row in other.rows_of(page.model):
        client.post(address(page.model, "change", row.pk), fields_of(row) | {"_save": "1"})
        client.post(address(page.model, "delete", row.pk), {"post": "yes"})
        for action in actions_of(page):
            chosen = {"action": action, "_selected_action": [str(row.pk)], "post": "yes"}
            client.post(address(page.model, "changelist"), chosen)
        for url in extra_addresses(page, row):
            client.get(url)
            client.post(url, {"reason": "because"})
    assert snapshot(other) == before


@every_page
def test_no_row_can_be_put_into_anothers_competition(own: Scene, other: Scene, label: str) -> None:
    """Whatever an own row could point to, another's row is not among it."""
    page = PAGES[label]
    request = _Request(own)
    for row in own.rows_of(page.model):
        for form in forms_of(page, request, row):
            for name, field in form.base_fields.items():
                queryset = getattr(field, "queryset", None)
                if queryset is not None:
                    found = [each for each in other.rows if isinstance(each, queryset.model)]
                    reached = queryset.filter(pk__in=[each.pk for each in found])
                    assert not reached.exists(), f"{label}.{name}"


@every_page
def test_autocompletion_finds_nothing_of_anothers(own: Scene, label: str) -> None:
    page = PAGES[label]
    for model in (each for each in admin.site._registry):
        for field in model._meta.get_fields():
            if (
                isinstance(field, ForeignKey | ManyToManyField)
                and field.remote_field.model is page.model
            ):
                query = {
                    "app_label": model._meta.app_label,
                    "model_name": str(model._meta.model_name),
                    "field_name": field.name,
                    "term": "",
                }
                response = own.client.get(reverse("admin:autocomplete"), query)
                assert OTHER not in response.content.decode(), (label, field)


@every_page
def test_filters_by_anothers_row_tell_nothing(own: Scene, other: Scene, label: str) -> None:
    page = PAGES[label]
    url = address(page.model, "changelist")
    for field in page.model._meta.get_fields():
        if isinstance(field, ForeignKey):
            for row in [each for each in other.rows if isinstance(each, field.related_model)]:
                text = text_of(
                    own.client, f"{url}?{field.name}__{row._meta.pk.name}__exact={row.pk}"
                )
                assert OTHER not in text, field


def test_the_index_shows_nothing_of_anothers(own: Scene) -> None:
    text = text_of(own.client, reverse("admin:index"))
    assert OWN in text
    assert OTHER not in text


def test_no_address_tells_the_public_address_of_anothers_draft(own: Scene, other: Scene) -> None:
    with pytest.raises(NoReverseMatch):
        reverse("admin:view_on_site", args=[1, other.competition.pk])
    from django.contrib.contenttypes.models import ContentType

    kind = ContentType.objects.get_for_model(other.competition)
    for slash in ("", "/"):
        response = own.client.get(f"/admin/r/{kind.pk}/{other.competition.pk}{slash}")
        assert response.status_code == 404


class _Request:
    """Enough of a request for the admin to build its forms."""

    method = "GET"
    GET: dict[str, str] = {}

    def __init__(self, scene: Scene) -> None:
        self.user = scene.organizer


def forms_of(page: OrganizerAdmin[Any], request: Any, row: Model) -> Iterator[Any]:
    yield page.get_form(request, row, change=True)
    yield page.get_form(request, None, change=False)
    for formset, _inline in page.get_formsets_with_inlines(request, row):
        yield formset.form


def fields_of(row: Model) -> dict[str, Any]:
    """Return the row's own values, some of them changed, as its form would send them."""
    sent: dict[str, Any] = {}
    for field in row._meta.fields:
        if isinstance(field, FileField):
            continue
        value = field.value_from_object(row)
        sent[field.name] = "changed" if isinstance(value, str) else ("" if value is None else value)
    return sent


def extra_addresses(page: OrganizerAdmin[Any], row: Model) -> Iterator[str]:
    """Return the addresses of what a page can do beyond Django's own views."""
    known = {"changelist", "add", "history", "delete", "change", None}
    prefix = f"{page.opts.app_label}_{page.opts.model_name}_"
    for pattern in page.urls:
        name = getattr(pattern, "name", None)
        if name is not None and name.removeprefix(prefix) not in known:
            try:
                yield reverse(f"admin:{name}", args=[row.pk])
            except NoReverseMatch:
                continue
