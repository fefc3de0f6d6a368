"""Talk to a site of StyleArena: send a checkpoint so that it goes on after a cut, and follow it.

Only the standard library. Redirects are not followed: a token goes to the site that was named.
"""

import base64
import hashlib
import http.client
import json
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from styletransfer.errors import StyleTransferError

PIECE_BYTES = 8 << 20
TIMEOUT_S = 60
# A line that is down comes back within minutes, or somebody has to look at it.
PAUSES_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 60, 60)
TRY_AGAIN = {409, 423, 429, 460, 500, 502, 503, 504}
TUS = {"Tus-Resumable": "1.0.0"}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
ENDED = {"scored", "rejected", "failed", "cancelled", "withdrawn"}

Progress = Callable[[int, int], None]


class SiteRefused(StyleTransferError):
    """The site said no, and why."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        super().__init__(str(problem.get("detail") or f"the site answered with error {status}"))


class SiteAway(StyleTransferError):
    """The site can't be reached, or not by this address."""


class BadToken(StyleTransferError):
    """There is no token, or others can read it."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_anything: Any) -> None:
        return None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


def read_token(
    environment: Mapping[str, str],
    file: Path | None,
    *,
    variable: str = "STYLEARENA_TOKEN",
    name: str = "token",
) -> str:
    """Return the token of a variable, or of a file that only its owner can read.

    Raises:
        BadToken: there is none, or others can read the file.
    """
    if file is None and (token := environment.get(variable, "").strip()):
        return token
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    path = file or Path(home) / "stylearena" / name
    if not path.exists():
        raise BadToken(f"there is no token: set {variable}, or write it to {path}, mode 0600")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadToken(f"others can read {path}: run chmod 600 {path}")
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise BadToken(f"{path} is empty")
    return token


class Site:
    """One site, spoken to with one token."""

    def __init__(self, address: str, token: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SiteAway(f"{address} is not the address of a site: https://...")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise SiteAway(f"{address} would send your token unencrypted: use https://")
        self.address = address.rstrip("/") + "/"
        self._token = token
        self._open = urllib.request.build_opener(_NoRedirects()).open

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request.

        Raises:
            SiteRefused: the answer is an error.
            SiteAway: there is no answer.
        """
        sent = {"Authorization": f"Token {self._token}", **(headers or {})}
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            urljoin(self.address, path), data=body, headers=sent, method=method
        )
        try:
            with self._open(request, timeout=TIMEOUT_S) as response:
                return Answer(response.status, response.headers, _read_json(response.read()))
        except urllib.error.HTTPError as error:
            if 300 <= error.code < 400:
                raise SiteAway(f"the site is elsewhere: {error.headers.get('Location')}") from error
            with error:
                raise SiteRefused(error.code, _read_json(error.read()) or {}) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise SiteAway(f"{self.address} can't be reached: {reason}") from error

    def submit(self, phase: int, upload: str, manifest: Mapping[str, Any] | None) -> dict[str, Any]:
        """Enter an upload that is complete; return the submission."""
        body = {"upload": upload} | ({} if manifest is None else {"manifest": manifest})
        try:
            answer = self._call_again(
                "POST",
                f"api/v1/phases/{phase}/submissions/",
                body=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
        except SiteRefused as error:
            if error.code != "upload_used":
                raise
            # The answer to the first try was lost on the way.
            answer = self._call_again("GET", f"api/v1/submissions/{error.problem['submission']}/")
        found: dict[str, Any] = answer.body
        return found

    def get_submission(self, submission: str) -> dict[str, Any]:
        found: dict[str, Any] = self._call_again("GET", f"api/v1/submissions/{submission}/").body
        return found

    def _call_again(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request that may be sent twice until there is an answer."""
        for pause in (*PAUSES_S, None):
            try:
                return self.call(method, path, **options)
            except SiteAway:
                if pause is None:
                    raise
            except SiteRefused as error:
                if pause is None or error.status not in {423, 500, 502, 503, 504}:
                    raise
            time.sleep(pause)
        raise AssertionError

    def upload(self, phase: int, path: Path, *, on_progress: Progress) -> dict[str, Any]:
        """Send a file, going on with what earlier calls have sent; return the complete upload.

        Raises:
            SiteRefused: the site does not take it.
            SiteAway: it has been away for minutes; the next call goes on from there.
        """
        length, sha256 = path.stat().st_size, hash_file(path)
        address = self._find(phase, length, sha256) or self._begin(phase, path, length, sha256)
        pauses = iter(PAUSES_S)
        offset: int | None = None
        with path.open("rb") as file:
            while True:
                try:
                    if offset is None:
                        offset = self._ask_offset(address)
                    on_progress(offset, length)
                    if offset >= length:
                        break
                    file.seek(offset)
                    offset = self._send_piece(address, file.read(PIECE_BYTES), offset)
                    pauses = iter(PAUSES_S)
                except (SiteAway, SiteRefused) as error:
                    pause = next(pauses, None)
                    is_final = isinstance(error, SiteRefused) and (
                        error.status not in TRY_AGAIN or error.code in {"hash_mismatch"}
                    )
                    if pause is None or is_final:
                        raise
                    offset = None
                    time.sleep(pause)
        found: dict[str, Any] = self._call_again("GET", address).body
        if found["sha256"] not in {None, sha256}:
            raise SiteRefused(460, {"detail": "what arrived is not the file that was sent"})
        return {**found, "sha256": sha256}

    def _find(self, phase: int, length: int, sha256: str) -> str | None:
        """Find the same file among my uploads, begun by an earlier call, here or elsewhere."""
        begun = self._call_again("GET", f"api/v1/phases/{phase}/uploads/").body["results"]
        for each in begun:
            if (each["length"], each["expected_sha256"]) == (length, sha256):
                return str(each["links"]["self"])
        return None

    def _begin(self, phase: int, path: Path, length: int, sha256: str) -> str:
        words = {"filename": path.name, "sha256": sha256}
        metadata = ",".join(
            f"{key} {base64.b64encode(os.fsencode(word)).decode()}" for key, word in words.items()
        )
        headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata}
        answer = self._call_again("POST", f"api/v1/phases/{phase}/uploads/", headers=headers)
        return str(answer.body["links"]["self"])

    def _ask_offset(self, address: str) -> int:
        """Return how much of it arrived, once nothing of what was cut off is still being read."""
        offset = int(self.call("HEAD", address, headers=TUS).headers["Upload-Offset"])
        try:
            return self._send_piece(address, b"", offset)
        except SiteRefused as error:
            if error.code in {"upload_complete", "upload_used"}:
                return offset
            raise

    def _send_piece(self, address: str, piece: bytes, offset: int) -> int:
        digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        headers = {
            **TUS,
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {digest}",
            "Content-Type": "application/offset+octet-stream",
        }
        answer = self.call("PATCH", address, body=piece, headers=headers)
        return int(answer.headers["Upload-Offset"])


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
