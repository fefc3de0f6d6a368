from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from competitions.models import Phase
from tests.api.conftest import client_for
from tests.factories import make_phase, make_team, make_user
from tests.uploading.sender import Sender


@pytest.fixture
def enter(db: None) -> Callable[..., Sender]:
    def make(phase: Phase | None = None, *, has_joined: bool = True, **fields: Any) -> Sender:
        phase = phase or make_phase(**fields)
        user = make_user()
        if has_joined:
            make_team(user, phase=phase)
        return Sender(user, phase, client_for(user))

    return make


@pytest.fixture
def sender(enter: Callable[..., Sender]) -> Sender:
    return enter()


@pytest.fixture
def stored() -> Callable[[], list[Path]]:
    """Return what uploads have stored; a folder that is left behind counts as well."""

    def look() -> list[Path]:
        root = Path(django_settings.MEDIA_ROOT)
        files = [path for path in root.glob("checkpoints/**/*") if path.is_file()]
        return [*files, *root.glob("parts/*")]

    return look


@pytest.fixture(autouse=True)
def _no_leftovers_on_the_way() -> Iterator[None]:
    """Hold every test to it that no temporary file stays behind."""
    folder = Path(django_settings.FILE_UPLOAD_TEMP_DIR)
    before = set(folder.iterdir())
    yield
    assert set(folder.iterdir()) <= before
