"""A real mail server for tests, which keeps what it gets and can be told to refuse."""

import email.policy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.deployment import free_port


class Mailbox:
    """What arrived, and what the server says to an address instead of taking its mail."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        self.port = free_port()
        self.takes_s = 0.0

    async def handle_RCPT(  # noqa: N802, RUF100 - the server calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802, RUF100 - the server calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        time.sleep(self.takes_s)
        assert isinstance(envelope.content, bytes)
        parser: Any = BytesParser(policy=email.policy.default)
        self.messages.append(parser.parsebytes(envelope.content))
        return "250 OK"

    @property
    def addresses(self) -> list[str]:
        return sorted(str(message["To"]) for message in self.messages)

    @contextmanager
    def open(self, **options: Any) -> Iterator[None]:
        """Take mails while the block runs; before and after it nobody answers."""
        server = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        server.start()
        try:
            yield
        finally:
            server.stop()

    def settings(self) -> dict[str, str]:
        """Return what a program of the platform needs in its environment to send here."""
        return {
            "ARENA_SMTP_HOST": "127.0.0.1",
            "ARENA_SMTP_PORT": str(self.port),
            "ARENA_SMTP_TLS": "false",
        }


def part(message: EmailMessage, kind: str) -> str:
    """Return the plain or html part of a mail as its reader sees it."""
    found = message.get_body((kind,))
    assert found is not None
    content: str = found.get_content()
    return content
