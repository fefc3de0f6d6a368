"""Resumable uploads over HTTP: the tus protocol, version 1.0.0 (https://tus.io/protocols).

Core, creation, checksum, expiration and termination. Besides, ``GET`` tells in JSON what is there.
"""

import base64
import binascii
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import http_date
from django.utils.timezone import now
from django.utils.translation import gettext as _
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, UnsupportedMediaType
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from competitions.errors import Invalid
from competitions.models import Phase
from competitions.people import User
from submissions.models import Upload, UploadStatus
from submissions.throttles import LengthRequired, UploadThrottle
from submissions.uploads.beginning import begin, find
from submissions.uploads.hold import over
from submissions.uploads.receiving import Checksum, complete, write
from submissions.uploads.removal import give_up

VERSION = "1.0.0"
EXTENSIONS = "creation,checksum,expiration,termination"
MEDIA_TYPE = "application/offset+octet-stream"
LARGEST_NUMBER = 2**53


class UnknownVersion(APIException):
    status_code = 412
    default_code = "tus_version"


class UploadOut(serializers.ModelSerializer[Upload]):
    sha256 = serializers.SerializerMethodField()
    submission = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = Upload
        fields = [
            "id",
            "phase",
            "status",
            "file_name",
            "length",
            "offset",
            "sha256",
            "expected_sha256",
            "submission",
            "created_at",
            "expires_at",
            "links",
        ]

    def get_sha256(self, upload: Upload) -> str | None:
        return upload.sha256 or None

    def get_submission(self, upload: Upload) -> str | None:
        return str(upload.submission_id) if upload.submission_id else None

    def get_links(self, upload: Upload) -> dict[str, str]:
        return {
            "self": reverse("api-upload", args=[upload.pk]),
            "submit": reverse("api-phase-submissions", args=[upload.phase_id]),
        }


class TusView(APIView):
    """What every answer of the protocol has in common."""

    permission_classes = [IsAuthenticated]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        speaks = request.headers.get("Tus-Resumable") == VERSION
        if not speaks and request.method not in {"GET", "OPTIONS"}:
            raise UnknownVersion(_("Send the header Tus-Resumable: 1.0.0."))

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        found = super().finalize_response(request, response, *args, **kwargs)
        found["Tus-Resumable"] = VERSION
        found["Cache-Control"] = "no-store"
        if found.status_code == UnknownVersion.status_code:
            found["Tus-Version"] = VERSION
        return found

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Say what is spoken here."""
        spoken = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(Checksum.ALGORITHMS),
        }
        return Response(status=status.HTTP_204_NO_CONTENT, headers=spoken)


class PhaseUploads(TusView):
    """List my uploads for a phase that are not submitted yet, or begin one."""

    def get_throttles(self) -> list[BaseThrottle]:
        # One upload counts once, in however many pieces it comes.
        extra = [UploadThrottle()] if self.request.method == "POST" else []
        return [*super().get_throttles(), *extra]

    def get(self, request: Request, phase_id: int) -> Response:
        user, phase = self._look_up(request, phase_id)
        unused = Upload.objects.of(user).unused().filter(phase=phase, expires_at__gt=now())
        return Response({"results": UploadOut(unused, many=True).data})

    def post(self, request: Request, phase_id: int) -> Response:
        user, phase = self._look_up(request, phase_id)
        words = read_metadata(request.headers.get("Upload-Metadata", ""))
        upload = begin(
            by=user,
            phase=phase,
            file_name=words.get("filename", b"").decode(errors="replace"),
            length=read_number(request, "Upload-Length"),
            expected_sha256=read_sha256(words.get("sha256", b"")),
        )
        headers = {
            "Location": reverse("api-upload", args=[upload.pk]),
            "Upload-Expires": expiry(upload.expires_at),
        }
        return Response(UploadOut(upload).data, status.HTTP_201_CREATED, headers=headers)

    @staticmethod
    def _look_up(request: Request, phase_id: int) -> tuple[User, Phase]:
        user = cast(User, request.user)
        visible = Phase.objects.visible_to(user).select_related("competition")
        return user, get_object_or_404(visible, pk=phase_id)


class OneUpload(TusView):
    """Ask how far an upload is, add to it, or give it up."""

    def get(self, request: Request, pk: UUID) -> Response:
        return Response(UploadOut(self._find(request, pk)).data)

    def head(self, request: Request, pk: UUID) -> Response:
        upload = self._find(request, pk)
        return Response(headers=state_of(upload) | {"Upload-Length": str(upload.length)})

    def patch(self, request: Request, pk: UUID) -> Response:
        upload = self._find(request, pk)
        if request.content_type != MEDIA_TYPE:
            raise UnsupportedMediaType(request.content_type or "")
        offset = read_number(request, "Upload-Offset")
        length = request.META.get("CONTENT_LENGTH") or ""
        if not length.isdecimal():
            raise LengthRequired(_("Say how long the request is, with Content-Length."))
        if upload.status != UploadStatus.RECEIVING:
            raise over(upload)
        stream = request._request
        write(upload, stream.read, offset=offset, size=int(length), checksum=read_checksum(request))
        if upload.offset == upload.length:
            complete(upload)
        return Response(status=status.HTTP_204_NO_CONTENT, headers=state_of(upload))

    def delete(self, request: Request, pk: UUID) -> Response:
        upload = self._find(request, pk)
        if not give_up(upload):
            upload.refresh_from_db()
            raise over(upload)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @staticmethod
    def _find(request: Request, pk: UUID) -> Upload:
        try:
            return find(cast(User, request.user), pk)
        except Upload.DoesNotExist as error:
            raise Http404 from error


def state_of(upload: Upload) -> dict[str, str]:
    """Return the headers that say how far an upload is and what came of it."""
    headers = {"Upload-Offset": str(upload.offset)}
    if upload.status == UploadStatus.RECEIVING:
        headers["Upload-Expires"] = expiry(upload.expires_at)
    if upload.sha256:
        digest = base64.b64encode(bytes.fromhex(upload.sha256)).decode()
        headers["Repr-Digest"] = f"sha-256=:{digest}:"  # RFC 9530
    return headers


def expiry(at: datetime) -> str:
    return http_date(at.timestamp())


def read_number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and int(text[:20]) < LARGEST_NUMBER):
        raise Invalid("bad_header", _("Send the header %(name)s: a number.") % {"name": header})
    return int(text)


def read_metadata(text: str) -> dict[str, bytes]:
    """Read pairs of a key and a value in Base64, separated by commas."""
    found: dict[str, bytes] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _space, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            detail = _("The header Upload-Metadata can't be read.")
            raise Invalid("bad_header", detail) from error
    return found


def read_sha256(text: bytes) -> str:
    found = text.decode("ascii", errors="replace").lower()
    if found and not (len(found) == 64 and set(found) <= set("0123456789abcdef")):
        raise Invalid("bad_header", _("The SHA-256 in Upload-Metadata is 64 hexadecimal digits."))
    return found


def read_checksum(request: Request) -> Checksum | None:
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _space, value = text.partition(" ")
    try:
        if algorithm not in Checksum.ALGORITHMS:
            raise ValueError(algorithm)
        return Checksum(algorithm, base64.b64decode(value, validate=True))
    except ValueError as error:  # of which binascii.Error is one
        detail = _("The header Upload-Checksum can't be read: send sha256 or sha1 and Base64.")
        raise Invalid("bad_header", detail) from error
