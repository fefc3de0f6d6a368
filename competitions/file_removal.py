"""Removing files whose rows go, only once it is sure that they do."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models.fields.files import FieldFile


def remove_files_later(files: Iterable[FieldFile]) -> None:
    """Remove the files of deleted rows when the transaction has ended well."""
    stored = [(file.storage, str(file.name)) for file in files if file]

    def remove() -> None:
        for storage, name in stored:
            storage.delete(name)

    transaction.on_commit(remove, robust=True)
