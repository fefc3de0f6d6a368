"""Which stored files the rows name, and which nobody names or nobody finds.

A copy of the site has to hold the first. A file is written before the row that names it and goes
after it, so a process that dies in between leaves one that no row names.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from django.apps import apps
from django.core.files.storage import default_storage
from django.db.models import FileField, Model
from django.utils.timezone import now

from submissions.models import Piece

log = logging.getLogger(__name__)

# Far longer than anything takes between its file and its row.
SAFE_AGE = timedelta(days=2)
BATCH = 500
PIECES = "parts"  # of uploads, each with a row
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


def latest_named_files(number: int) -> Iterator[str]:
    """Yield about so many of the files that were named last, of each column as many."""
    found = columns()
    for column in found:
        rows = column.model._default_manager.exclude(**{column.field: ""}).order_by("-pk")
        yield from rows.values_list(column.field, flat=True)[: max(number // len(found), 1)]


def missing_files() -> Iterator[str]:
    """Yield each file that a row names and that is not there."""
    return (name for name in named_files() if not default_storage.exists(name))


# --- Files that no row names ---------------------------------------------------------------------
def orphans() -> Iterator[str]:
    """Yield files of ours that no row names and that are too old to be just on their way."""
    oldest_young = now() - SAFE_AGE
    for folder in folders():
        for names in _in_batches(_files_below(folder), BATCH):
            for name in _unnamed(names):
                try:
                    if default_storage.get_modified_time(name) < oldest_young:
                        yield name
                except FileNotFoundError:
                    continue  # removed in this moment


def remove_orphans(at_most: int) -> int:
    """Remove some files that no row names; return how many."""
    removed = 0
    for name in islice(orphans(), at_most):
        if _unnamed([name]):  # asked again: the walk may have taken long
            default_storage.delete(name)
            log.info("removed %s, which no row named", name)
            removed += 1
    return removed


def folders() -> list[str]:
    """Return the top folders that files of ours are in: what else is in a bucket is not ours."""
    found = {PIECES}
    for column in columns():
        field = column.model._meta.get_field(column.field)
        if isinstance(field, FileField):
            found.add(str(field.upload_to).partition("/")[0])
    return sorted(found)


def _files_below(folder: str) -> Iterator[str]:
    try:
        below, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    yield from (f"{folder}/{name}" for name in sorted(files) if name)
    for name in sorted(below):
        yield from _files_below(f"{folder}/{name}")


def _unnamed(names: Sequence[str]) -> list[str]:
    left = set(names)
    for column in columns():
        if left:
            rows = column.model._default_manager.filter(**{f"{column.field}__in": left})
            left -= set(rows.values_list(column.field, flat=True))
    return sorted(left)


def _in_batches(names: Iterator[str], size: int) -> Iterator[list[str]]:
    while batch := list(islice(names, size)):
        yield batch
