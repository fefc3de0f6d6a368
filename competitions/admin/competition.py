from django.contrib import admin

from competitions.admin.base import OrganizerAdmin
from competitions.models import Competition


@admin.register(Competition)
class CompetitionAdmin(OrganizerAdmin[Competition]):
    competition_path = "pk"
    position = 10
    list_display = ("title", "slug", "published_at")
    search_fields = ("title", "slug")
    exclude = ("organizers", "published_at")
