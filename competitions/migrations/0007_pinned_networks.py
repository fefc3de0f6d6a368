from typing import Any

from django.db import migrations, models

_ROLES = ("vgg", "inception")


def gather(apps: Any, schema_editor: Any) -> None:
    for phase in apps.get_model("competitions", "Phase").objects.all():
        phase.pinned = {
            role: {
                "name": getattr(phase, f"{role}_name"),
                "sha256": getattr(phase, f"{role}_sha256"),
            }
            for role in _ROLES
        }
        phase.save(update_fields=["pinned"])


def spread(apps: Any, schema_editor: Any) -> None:
    for phase in apps.get_model("competitions", "Phase").objects.all():
        for role in _ROLES:
            pin = phase.pinned.get(role, {"name": "", "sha256": ""})
            setattr(phase, f"{role}_name", pin["name"])
            setattr(phase, f"{role}_sha256", pin["sha256"])
        phase.save()


class Migration(migrations.Migration):
    dependencies = [("competitions", "0006_names_of_fields")]

    operations = [
        migrations.AddField(
            "phase", "pinned", models.JSONField("networks", default=dict, editable=False)
        ),
        *(
            migrations.AlterField(
                "phase", f"{role}_{part}", models.CharField(max_length=length, default="")
            )
            for role in _ROLES
            for part, length in (("name", 40), ("sha256", 64))
        ),
        migrations.RunPython(gather, spread),
        *(
            migrations.RemoveField("phase", f"{role}_{part}")
            for role in _ROLES
            for part in ("name", "sha256")
        ),
        migrations.AlterField("phase", "pinned", models.JSONField("networks", editable=False)),
    ]
