"""A program that speaks the tus protocol, as much by hand as tests want it."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from rest_framework.test import APIClient

from arena.accounts.models import User
from competitions.models import Phase
from submissions.models import Upload
from tests.factories import MANIFEST

TUS = {"Tus-Resumable": "1.0.0"}
MEDIA_TYPE = "application/offset+octet-stream"


def encode(**words: str) -> str:
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in words.items()
    )


def checksum_of(content: bytes, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


@dataclass(frozen=True)
class Sender:
    user: User
    phase: Phase
    client: APIClient

    def begin(self, length: int, **words: str) -> Any:
        return self.client.post(
            f"/api/v1/phases/{self.phase.pk}/uploads/",
            headers={
                **TUS,
                "Upload-Length": str(length),
                "Upload-Metadata": encode(**{"filename": "g.onnx", **words}),
            },
        )

    def begun(self, length: int, **words: str) -> str:
        answer = self.begin(length, **words)
        assert answer.status_code == 201, answer.content
        return str(answer["Location"])

    def head(self, address: str) -> Any:
        return self.client.head(address, headers=TUS)

    def patch(
        self, address: str, content: bytes, offset: object, *, line: Any = None, **headers: str
    ) -> Any:
        """Send bytes; ``line`` is what the server reads, instead of ``content``."""
        sent = {**TUS, "Upload-Offset": str(offset)}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        extra = {} if line is None else {"wsgi.input": line}
        send: Any = self.client.generic  # takes bytes, whatever its types say
        return send("PATCH", address, content, MEDIA_TYPE, headers=sent, **extra)

    def delete(self, address: str) -> Any:
        return self.client.delete(address, headers=TUS)

    def send(self, content: bytes, *, step: int | None = None) -> Upload:
        """Send a file, in pieces of ``step`` bytes."""
        address = self.begun(len(content))
        step = step or len(content)
        for offset in range(0, len(content), step):
            answer = self.patch(address, content[offset : offset + step], offset)
            assert answer.status_code == 204, answer.content
        return Upload.objects.get(pk=address.split("/")[-2])

    def submit(self, upload: Upload, **manifest: Any) -> Any:
        body = {"upload": str(upload.pk), "manifest": {**MANIFEST, **manifest}}
        return self.client.post(
            f"/api/v1/phases/{self.phase.pk}/submissions/",
            json.dumps(body),
            content_type="application/json",
        )


def refused(answer: Any, status: int, code: str) -> Any:
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert body["code"] == code, body
    assert body["detail"]
    assert answer["Content-Type"] == "application/problem+json"
    return body
