"""Give reference sets and recipes their competition, and organizers their group."""

from django.apps.registry import Apps as StateApps
from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def set_owners(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    phases = apps.get_model("competitions", "Phase").objects.order_by("-pk")
    for phase in phases.select_related("reference_set", "recipe"):
        for part in (phase.reference_set, phase.recipe):
            type(part).objects.filter(pk=part.pk).update(competition=phase.competition_id)


def make_group(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name="Organizers")
    for competition in apps.get_model("competitions", "Competition").objects.all():
        for user in competition.organizers.all():
            user.groups.add(group)
            type(user).objects.filter(pk=user.pk).update(is_staff=True)


class Migration(migrations.Migration):
    dependencies = [
        ("competitions", "0003_taking_part_and_organizing"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(set_owners, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(make_group, migrations.RunPython.noop),
    ]
