"""A real check in a real sandbox leaves a picture, of the first pair or of a test card."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile

from evaluation.models import FirstPicture
from evaluation.tasks import check_submission
from evaluation.worker import sandboxes
from styletransfer.images import decode_png
from styletransfer.sample_pair import make_content
from styletransfer.warm_samples import TINY, save_torch
from submissions.models import Submission
from submissions.states import Status
from tests.evaluation.sandbox import graphs
from tests.factories import make_phase, make_submission

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module", autouse=True)
def _end_sandboxes() -> Iterator[None]:
    yield
    sandboxes().close()
    sandboxes.cache_clear()


def check(data: bytes, **fields: Any) -> Submission:
    submission = make_submission(
        checkpoint=ContentFile(data, name="checkpoint.bin"),
        sha256=hashlib.sha256(data).hexdigest(),
        **fields,
    )
    check_submission(str(submission.pk))
    submission.refresh_from_db()
    return submission


def pixels_of(file: Any) -> Any:
    with file.open("rb") as stored:
        return decode_png(stored.read())


def test_hidden_pairs_stay_hidden_from_a_generator_that_copies_them(tmp_path: Path) -> None:
    data = graphs.identity(tmp_path / "g.onnx").read_bytes()
    submission = check(data, phase=make_phase(pairs_public=False), manifest={"format": "onnx"})
    assert submission.status == Status.QUEUED, submission.failure
    first = FirstPicture.objects.get(run__submission=submission)
    card = make_content(submission.phase.reference_set.image_size)
    assert first.is_test_card
    assert np.array_equal(pixels_of(first.content), card)
    assert np.array_equal(pixels_of(first.picture), card)
    assert first.hints[0]["code"] == "copied"


def test_public_pairs_are_shown_and_a_state_dict_is_described_by_its_weights() -> None:
    from styletransfer.generators import build

    data = save_torch({"state_dict": build("transformer_net", TINY).state_dict()})[1]
    submission = check(data, manifest={"format": "state_dict"})
    assert submission.status == Status.QUEUED, submission.failure
    assert submission.manifest["format"] == "state_dict"
    assert submission.manifest["architecture"] == "transformer_net"
    assert submission.manifest["parameters"] == TINY
    assert len(submission.converted_sha256) == 64
    first = FirstPicture.objects.get(run__submission=submission)
    pair = submission.phase.reference_set.pairs.get(position=0)
    assert not first.is_test_card
    assert np.array_equal(pixels_of(first.content), pixels_of(pair.content.file))
    # What was found when it was checked holds every later conversion to that.
    Submission.objects.update(converted_sha256="0" * 64, status=Status.CHECKING)
    check_submission(str(submission.pk))
    submission.refresh_from_db()
    assert submission.status == Status.PLATFORM_FAULT
