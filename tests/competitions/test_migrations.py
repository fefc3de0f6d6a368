"""What migrations make of rows that are there."""

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.timezone import now

BEFORE = ("competitions", "0006_names_of_fields")
AFTER = ("competitions", "0007_pinned_networks")


def migrate(target: tuple[str, str]) -> Any:
    """Bring the app to a migration and return its models as they are then."""
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return MigrationExecutor(connection).loader.project_state([target]).apps


@pytest.mark.django_db(transaction=True)
def test_networks_in_columns_become_networks_by_role_and_back() -> None:
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        apps = migrate(BEFORE)
        competition = apps.get_model("competitions", "Competition").objects.create(
            slug="a", title="A"
        )
        references = apps.get_model("competitions", "ReferenceSet").objects.create(name="r")
        recipe = apps.get_model("competitions", "ScoringRecipe").objects.create(
            name="r", style_layers=[], style_weights=[], alpha=1, beta=1, gamma=0, metrics=[]
        )
        apps.get_model("competitions", "Phase").objects.create(
            competition=competition,
            reference_set=references,
            recipe=recipe,
            name="p",
            opens_at=now(),
            vgg_name="v",
            vgg_sha256="1" * 64,
            inception_name="i",
            inception_sha256="2" * 64,
        )
        row = migrate(AFTER).get_model("competitions", "Phase").objects.get()
        assert row.pinned == {
            "vgg": {"name": "v", "sha256": "1" * 64},
            "inception": {"name": "i", "sha256": "2" * 64},
        }
        row = migrate(BEFORE).get_model("competitions", "Phase").objects.get()
        assert (row.vgg_name, row.inception_sha256) == ("v", "2" * 64)
    finally:
        MigrationExecutor(connection).migrate(newest)
