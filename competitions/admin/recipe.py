from django.contrib import admin

from competitions.admin.base import OrganizerAdmin
from competitions.models import ScoringRecipe


@admin.register(ScoringRecipe)
class RecipeAdmin(OrganizerAdmin[ScoringRecipe]):
    position = 40
    list_display = ("name", "competition")
    list_filter = ("competition",)
    search_fields = ("name",)
