"""The uploaded file as a file of this machine, wherever it is stored."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.conf import settings

from evaluation.checkpoint_copies import hash_file, require_unchanged
from submissions.models import Submission


@contextmanager
def local_copy(submission: Submission) -> Iterator[Path]:
    """Give the checkpoint as a file of this machine.

    Raises:
        CheckpointChanged: it is not what was uploaded; no participant is to blame for that.
    """
    try:
        path = Path(submission.checkpoint.path)
    except NotImplementedError:  # a storage without paths, such as S3
        path = None
    if path is not None:
        require_unchanged("stored", hash_file(path), submission.sha256)
        yield path
        return
    with NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
        digest = hashlib.sha256()
        with submission.checkpoint.open("rb") as file:
            for chunk in file.chunks():
                digest.update(chunk)
                copy.write(chunk)
        copy.flush()
        require_unchanged("stored", digest.hexdigest(), submission.sha256)
        yield Path(copy.name)
