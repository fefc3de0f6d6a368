from django.contrib import admin

from competitions.admin.base import OrganizerAdmin
from competitions.models import Phase


@admin.register(Phase)
class PhaseAdmin(OrganizerAdmin[Phase]):
    position = 20
    list_display = ("name", "competition", "opens_at", "closes_at")
    list_filter = ("competition",)
    search_fields = ("name",)
