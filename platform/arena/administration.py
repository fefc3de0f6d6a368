"""The admin as organizers meet it: its name, its order, and what needs attention."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver
from django.utils.translation import gettext_lazy as _

from arena import attention

_APPS = ("competitions", "submissions", "evaluation", "accounts")
# Accounts have pages of their own, with a second factor; and a redirect to any row's public
# address would tell everybody on the staff what drafts there are.
_DROPPED = {"password_change", "password_change_done", "view_on_site"}
_LAST = 100


class Administration(admin.AdminSite):
    site_title = site_header = "StyleArena"
    index_title = _("Organize")
    empty_value_display = "–"  # noqa: RUF001 - a dash, as the pages of the site show it

    def get_urls(self) -> list[URLPattern | URLResolver]:
        found: list[URLPattern | URLResolver] = list(super().get_urls())
        return [each for each in found if getattr(each, "name", None) not in _DROPPED]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Show what organizers work with first, in the order in which they need it."""
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=self._position)
        apps.sort(
            key=lambda app: _APPS.index(app["app_label"]) if app["app_label"] in _APPS else _LAST
        )
        return apps

    def _position(self, described: Mapping[str, Any]) -> int:
        page = self.get_model_admin(described["model"])
        position: int = getattr(page, "position", _LAST)
        return position

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        found = {"overview": attention.overview(request.user)}
        return super().index(request, {**found, **(extra_context or {})})
