"""The page of an announcement: written, looked at, then published and mailed once."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from competitions.admin.base import OrganizerAdmin, person
from competitions.announcements import publish_announcement
from competitions.models import Announcement
from competitions.templatetags.scores import markdown


@admin.register(Announcement)
class AnnouncementAdmin(OrganizerAdmin[Announcement]):
    position = 50
    change_form_template = "admin/competitions/announcement/change_form.html"
    list_display = ("title", "competition", "is_published", "published_at", "author")
    list_filter = ("competition", "published_at")
    list_select_related = ("competition", "author")
    search_fields = ("title", "body")
    ordering = ("-created_at",)
    readonly_fields = ("preview", "published_at")

    def get_fieldsets(self, request: HttpRequest, obj: Announcement | None = None) -> Any:
        described = _(
            "Saved as a draft that nobody sees. Publish it on its page afterwards: then it is "
            "shown with the competition and mailed to everybody in it."
        )
        text = (None, {"description": described, "fields": ("competition", "title", "body")})
        if obj is None:
            return (text,)
        if obj.published_at is not None:
            described = _(
                "Published and mailed. What you change here changes the page; nobody gets another "
                "mail."
            )
            fields = ("competition", "title", "body", "published_at")
            text = (None, {"description": described, "fields": fields})
        return (text, (_("As it will look"), {"fields": ("preview",)}))

    @admin.display(description=_("published"), boolean=True)
    def is_published(self, announcement: Announcement) -> bool:
        return announcement.published_at is not None

    @admin.display(description=_("preview"))
    def preview(self, announcement: Announcement) -> SafeString:
        return format_html('<div class="prose">{}</div>', markdown(announcement.body))

    def save_model(self, request: HttpRequest, obj: Announcement, form: Any, change: bool) -> None:
        if not change:
            obj.author = person(request)
        super().save_model(request, obj, form, change)

    def get_urls(self) -> list[URLPattern]:
        return [self.button_url("publish", self.publish_view), *super().get_urls()]

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        announcement = self.get_or_404(request, object_id)

        def does() -> str:
            mails = publish_announcement(announcement)
            message = ngettext(
                "Published; %(number)d mail goes out", "Published; %(number)d mails go out", mails
            )
            return message % {"number": mails}

        return self.act(request, announcement, does)
