"""What a phase scores against is what was frozen, or there is no score."""

from pathlib import Path

import pytest

from competitions.models import ReferenceImage
from evaluation.reference_images import ReferencesChanged
from evaluation.references import load_references
from tests.factories import make_png, make_reference_set


@pytest.mark.django_db
def test_a_frozen_set_is_read_back_as_it_was_frozen() -> None:
    made = make_reference_set(pairs=3)
    loaded = load_references(made.pk, made.sha256)
    assert (len(loaded.contents), len(loaded.styles), len(loaded.reals)) == (3, 1, 3)
    assert loaded.pairs == [(0, 0), (1, 0), (2, 0)]


@pytest.mark.django_db
def test_an_image_that_changed_on_disk_is_noticed() -> None:
    made = make_reference_set()
    image = ReferenceImage.objects.filter(reference_set=made).first()
    assert image is not None
    Path(image.file.path).write_bytes(make_png(seed=-1))
    with pytest.raises(ReferencesChanged):
        load_references(made.pk, made.sha256)
