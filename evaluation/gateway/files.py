"""Files of one attempt at addresses that hold for a few minutes and for nothing else."""

import re
from typing import IO, Any

from django.core import signing
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from competitions.errors import Forbidden
from competitions.models import ReferenceImage
from evaluation.gateway.access import require_held
from evaluation.models import EvaluationRun

VALID_S = 300
_SALT = "evaluation.gateway.files"
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")


def address_of(run: EvaluationRun, what: str, pk: int = 0) -> str:
    """Return where a file of this attempt is, for whoever has the address, for a while."""
    return reverse("api-worker-file", args=[signing.dumps([run.pk, what, pk], salt=_SALT)])


class FileThrottle(SimpleRateThrottle):
    scope = "worker"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return f"worker-files-{self.get_ident(request)}"


class WorkerFile(APIView):
    """A checkpoint, an image or a discriminator, whole or from a byte on."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = [FileThrottle]

    def get(self, request: Request, signed: str) -> HttpResponseBase:
        run, what, pk = _read(signed)
        require_held(run)
        file = _find(run, what, pk)
        if not file:
            raise Http404
        try:
            return _serve(file.open("rb").file, int(file.size), request.headers.get("Range", ""))
        except FileNotFoundError:
            raise Http404 from None


def _read(signed: str) -> tuple[EvaluationRun, str, int]:
    try:
        run_id, what, pk = signing.loads(signed, salt=_SALT, max_age=VALID_S)
    except signing.SignatureExpired as error:
        detail = _("This address has expired: ask for the files of the run again.")
        raise Forbidden("address_expired", detail) from error
    except signing.BadSignature as error:
        detail = _("This address was not made by this site.")
        raise Forbidden("bad_address", detail) from error
    rows = EvaluationRun.objects.select_related("submission__phase__recipe", "token")
    run = rows.filter(pk=run_id, token__revoked_at__isnull=True, token__isnull=False).first()
    if run is None:
        raise Http404
    return run, what, pk


def _find(run: EvaluationRun, what: str, pk: int) -> FieldFile | None:
    phase = run.submission.phase
    found: Any = None
    if what == "checkpoint":
        found = run.submission.checkpoint
    elif what == "discriminator":
        found = phase.recipe.discriminator
    elif what == "image":
        rows = ReferenceImage.objects.filter(pk=pk, reference_set=phase.reference_set_id)
        row = rows.first()
        found = row.file if row else None
    return found or None


def _serve(file: IO[bytes], size: int, wanted: str) -> HttpResponseBase:
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    match = _RANGE.fullmatch(wanted)
    if match is None:  # none, or of a form that may be passed over
        return FileResponse(file, content_type="application/octet-stream", headers=headers)
    first = int(match[1])
    last = min(int(match[2]) if match[2] else size - 1, size - 1)
    if first > last:
        file.close()
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    file.seek(first)
    part = _Part(file, last - first + 1)
    headers |= {
        "Content-Range": f"bytes {first}-{last}/{size}",
        "Content-Length": str(last - first + 1),
    }
    return FileResponse(part, status=206, content_type="application/octet-stream", headers=headers)


class _Part:
    """The next so many bytes of a file."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file, self._left = file, length

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._file.close()
