"""Speak HTTPS with the platform, by one token; free of Django."""

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from evaluation.lease import PlatformAway
from styletransfer.errors import StyleTransferError
from styletransfer.remote import LOOPBACK

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0
# Somebody starts a platform again within minutes; by then another worker has the submission.
PAUSES_S = (0.5, 1, 2, 5, 10, 20, 30, 30, 30)
_COMES_BACK = {429, 500, 502, 503, 504, 507}
_BLOCK_BYTES = 1 << 20


class Refused(StyleTransferError):
    """The platform said no, and why."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        detail = problem.get("detail") or f"the platform answered with error {status}"
        super().__init__(str(detail))


class TokenRefused(Refused):
    """The token was revoked, or never was one."""


class BadAddress(StyleTransferError):
    """The platform's address can't be used."""


class Platform:
    """One platform, spoken to with one token. May be used by several threads."""

    def __init__(self, address: str, token: str, *, ca_file: Path | None = None) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadAddress(f"{address} is not the address of a platform: https://...")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise BadAddress(f"{address} would send the token unencrypted: use https://")
        self._address = address.rstrip("/") + "/"
        self._client = httpx.Client(
            base_url=urljoin(self._address, "api/v1/workers/"),
            headers={"Authorization": f"Worker {token}"},
            verify=ssl.create_default_context(cafile=ca_file),
            timeout=TIMEOUT_S,
            follow_redirects=False,  # the token goes to the site that was named
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        file: Callable[[], Iterator[bytes]] | None = None,
        length: int = 0,
        patient: bool = True,
    ) -> Any:
        """Send one request, again and again while the platform is away; return what it answers.

        Args:
            method: of HTTP.
            path: below the workers' addresses.
            body: sent as JSON.
            file: sent instead, in blocks; called anew for each try.
            length: of the file.
            patient: whether to wait for a platform that is away.

        Raises:
            TokenRefused: it knows the token no more.
            Refused: it says no.
            PlatformAway: it does not answer.
        """
        headers = {"Content-Type": "application/zip", "Content-Length": str(length)}
        for pause in (*PAUSES_S, None) if patient else (None,):
            try:
                answer = self._client.request(
                    method,
                    path,
                    json=None if file else body,
                    content=file() if file else None,
                    headers=headers if file else None,
                )
                if answer.status_code not in _COMES_BACK or pause is None:
                    return _read(answer)
            except httpx.TransportError as error:
                if pause is None:
                    raise PlatformAway(f"{self._address}: {error}") from error
            log.warning("the platform does not answer: trying again in %s s", pause)
            time.sleep(pause)
        raise AssertionError

    def download(self, find_url: Callable[[], str], target: Path) -> None:
        """Fetch a file into ``target``, going on with what is there of it.

        ``find_url`` is asked anew when an address has expired.

        Raises:
            Refused, PlatformAway: as above.
        """
        url: str | None = None
        pauses = iter(PAUSES_S)
        while True:
            try:
                url = url or find_url()
                self._fetch(url, target)
            except (httpx.TransportError, PlatformAway, Refused) as error:
                is_expired = isinstance(error, Refused) and error.code == "address_expired"
                is_final = isinstance(error, Refused) and error.status not in _COMES_BACK
                pause = next(pauses, None)
                if pause is None and isinstance(error, httpx.TransportError):
                    raise PlatformAway(f"{self._address}: {error}") from error
                if pause is None or (is_final and not is_expired):
                    raise
                url = None
                time.sleep(0 if is_expired else pause)
            else:
                return

    def _fetch(self, url: str, target: Path) -> None:
        has = target.stat().st_size if target.exists() else 0
        headers = {"Range": f"bytes={has}-", "Authorization": ""} if has else {"Authorization": ""}
        with self._client.stream("GET", urljoin(self._address, url), headers=headers) as answer:
            if answer.status_code == 416:  # all of it is there
                return
            if answer.status_code not in {200, 206}:
                answer.read()
                _read(answer)
                raise Refused(answer.status_code, {})
            with target.open("ab" if answer.status_code == 206 else "wb") as file:
                for block in answer.iter_bytes(_BLOCK_BYTES):
                    file.write(block)


def _read(answer: httpx.Response) -> Any:
    """Return the answer's JSON.

    Raises:
        TokenRefused, Refused, PlatformAway: it is an error.
    """
    status = answer.status_code
    try:
        body = answer.json() if answer.content else None
    except ValueError:
        body = None
    if status < 300:
        return body
    problem = body if isinstance(body, dict) else {}
    if status == 401:
        raise TokenRefused(status, problem)
    if 300 <= status < 400:
        raise BadAddress(f"the platform is elsewhere: {answer.headers.get('Location')}")
    if status in _COMES_BACK:
        raise PlatformAway(f"error {status}: {problem.get('detail', '')}")
    raise Refused(status, problem)
