"""Uploads as organizers make them, and the worker's side called as a message calls it."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from competitions.models import (
    Competition,
    ImageRole,
    Pairing,
    Preparation,
    ReferenceSet,
)
from competitions.preparations import request_import
from evaluation.tasks import prepare
from tests.factories import make_competition, make_png, make_user


def make_empty_set(
    competition: Competition | None = None, *, size: int = 32, pairing: str = Pairing.IN_TURN
) -> ReferenceSet:
    competition = competition or make_competition()
    return ReferenceSet.objects.create(
        competition=competition, name="new", image_size=size, pairing=pairing
    )


def pack(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def pictures(*names: str, seed: int = 0, size: int = 40) -> dict[str, bytes]:
    """Return different pictures by their file names."""
    return {name: make_png(1000 * seed + number, size) for number, name in enumerate(names)}


def ask(
    reference_set: ReferenceSet,
    data: bytes,
    *,
    role: ImageRole = ImageRole.CONTENT,
    file_name: str = "pictures.zip",
    **words: str,
) -> Preparation:
    upload = SimpleUploadedFile(file_name, data)
    return request_import(reference_set, upload=upload, role=role, by=make_user(), **words)


def run(preparation: Preparation) -> Preparation:
    prepare(str(preparation.pk))
    preparation.refresh_from_db()
    return preparation


def bring_in(reference_set: ReferenceSet, data: bytes, **options: Any) -> Preparation:
    return run(ask(reference_set, data, **options))
