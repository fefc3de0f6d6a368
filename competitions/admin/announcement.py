from django.contrib import admin

from competitions.admin.base import OrganizerAdmin
from competitions.models import Announcement


@admin.register(Announcement)
class AnnouncementAdmin(OrganizerAdmin[Announcement]):
    position = 50
    list_display = ("title", "competition", "published_at")
    list_filter = ("competition",)
    search_fields = ("title",)
