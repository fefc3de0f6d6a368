"""Which stored files the rows name: what a copy of the site has to hold."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db.models import FileField, Model

from submissions.models import Piece

APPS = ("competitions", "submissions", "evaluation", "accounts")


@dataclass(frozen=True)
class Column:
    """A column that names files."""

    model: type[Model]
    field: str


def columns() -> list[Column]:
    """Return every column that names files, those of models to come included."""
    found = [
        Column(model, field.name)
        for label in APPS
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, FileField)
    ]
    return [*found, Column(Piece, "name")]


def named_files() -> Iterator[str]:
    """Yield the name of each stored file, some more than once."""
    for column in columns():
        rows = column.model._default_manager.exclude(**{column.field: ""}).order_by()
        yield from rows.values_list(column.field, flat=True).iterator()
