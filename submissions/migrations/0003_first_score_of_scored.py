"""Say when submissions were first scored that were before this was noted."""

from typing import Any

from django.db import migrations
from django.db.models import F


def set_scored_at(apps: Any, schema_editor: Any) -> None:
    scored = apps.get_model("submissions", "Submission").objects.filter(status="scored")
    scored.update(scored_at=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [("submissions", "0002_exclusion_and_first_score")]

    operations = [migrations.RunPython(set_scored_at, migrations.RunPython.noop, elidable=True)]
