"""Races about uploads. Run as ``python -m tests.uploading.racers``; see ``tests.races``."""

import io
from pathlib import Path
from typing import Any

from tests.races import Race, main

CONTENT = b"\x08\x08\x3a\x05graph" + bytes(200_000)


def an_empty_upload() -> dict[str, Any]:
    return begin_upload(received=0)


def all_pieces() -> dict[str, Any]:
    return begin_upload(received=len(CONTENT))


def a_complete_upload() -> dict[str, Any]:
    from submissions.models import Upload
    from submissions.uploads.receiving import complete

    task = begin_upload(received=len(CONTENT))
    complete(Upload.objects.get(pk=task["upload"]))
    return task


def begin_upload(*, received: int) -> dict[str, Any]:
    from submissions.uploads.beginning import begin
    from submissions.uploads.receiving import write
    from tests.factories import make_phase, make_team, make_user

    phase, user = make_phase(quota_per_day=9, quota_concurrent=9), make_user()
    make_team(user, phase=phase)
    upload = begin(by=user, phase=phase, file_name="g.onnx", length=len(CONTENT))
    if received:
        write(upload, io.BytesIO(CONTENT).read, offset=0, size=received)
    return {
        "upload": str(upload.pk),
        "user": user.pk,
        "phase": phase.pk,
        "files": len(stored_files()) - (1 if received else 0),
    }


def write_all(number: int, task: Any) -> str:
    from submissions.models import Upload
    from submissions.uploads.receiving import write

    upload = Upload.objects.get(pk=task["upload"])
    write(upload, io.BytesIO(CONTENT).read, offset=0, size=len(CONTENT))
    return "written"


def put_together(number: int, task: Any) -> str:
    from submissions.models import Upload
    from submissions.uploads.receiving import complete

    complete(Upload.objects.get(pk=task["upload"]))
    return "complete"


def submit(number: int, task: Any) -> str:
    from arena.accounts.models import User
    from competitions.models import Phase
    from submissions import services
    from submissions.models import Upload
    from tests.factories import MANIFEST

    # Different manifests: nothing but the upload itself stands against entering it twice.
    services.submit(
        by=User.objects.get(pk=task["user"]),
        phase=Phase.objects.get(pk=task["phase"]),
        checkpoint=Upload.objects.get(pk=task["upload"]),
        manifest={**MANIFEST, "size": {"multiple_of": number + 1}},
    )
    return "entered"


def submit_or_give_up(number: int, task: Any) -> str:
    from submissions.models import Upload
    from submissions.uploads.removal import give_up

    if number % 2:
        return submit(number, task)
    upload = Upload.objects.get(pk=task["upload"])
    return "given up" if give_up(upload) else "too late"


def begin_another(number: int, task: Any) -> str:
    from arena.accounts.models import User
    from competitions.models import Phase
    from submissions.uploads.beginning import begin

    user, phase = User.objects.get(pk=task["user"]), Phase.objects.get(pk=task["phase"])
    for _ in range(2):
        begin(by=user, phase=phase, file_name="g.onnx", length=10)
    return "begun"


def look(task: Any) -> dict[str, Any]:
    from submissions.models import Piece, Submission, Upload

    upload = Upload.objects.get(pk=task["upload"])
    return {
        "status": upload.status,
        "offset": upload.offset,
        "counted": Piece.objects.filter(upload=upload, size__isnull=False).count(),
        "pending": Piece.objects.filter(upload=upload, size__isnull=True).count(),
        "files": len(stored_files()) - task["files"],
        "submissions": Submission.objects.filter(phase=task["phase"]).count(),
        "is_whole": upload.checkpoint.read() == CONTENT if upload.checkpoint else None,
        "under_way": Upload.objects.filter(owner=task["user"]).unused().count(),
    }


def stored_files() -> list[Path]:
    from django.conf import settings

    root = Path(settings.MEDIA_ROOT)
    return [path for path in root.rglob("*") if path.is_file() and "references" not in str(path)]


RACES: dict[str, Race] = {
    "write": (an_empty_upload, write_all, look),
    "complete": (all_pieces, put_together, look),
    "submit": (a_complete_upload, submit, look),
    "submit_unfinished": (all_pieces, submit, look),
    "submit_or_give_up": (a_complete_upload, submit_or_give_up, look),
    "begin": (an_empty_upload, begin_another, look),
}

if __name__ == "__main__":
    main(RACES)
