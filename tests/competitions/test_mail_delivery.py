"""Mails reach a real mail server: once, also when it was away, or are given up with a reason."""

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from django.core.mail import EmailMultiAlternatives
from django.db.models import F
from django.utils.timezone import now
from pytest_django import Settings

from competitions import mail_delivery
from competitions.mail_delivery import PAUSES, Delivery, send_due
from competitions.models import MailKind, OutgoingMail
from tests.mail_server import Mailbox, part
from tests.services import fresh_database

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    made = Mailbox()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
    settings.EMAIL_USE_TLS, settings.EMAIL_HOST_USER = False, ""
    settings.DEFAULT_FROM_EMAIL = "Arena <arena@example.org>"
    return made


@pytest.fixture
def open_mailbox(mailbox: Mailbox) -> Iterator[Mailbox]:
    with mailbox.open():
        yield mailbox


def make_mail(address: str = "alice@example.org", subject: str = "恭喜 and done") -> OutgoingMail:
    return OutgoingMail.objects.create(
        kind=MailKind.ANNOUNCEMENT,
        address=address,
        subject=subject,
        text="Plain words, 你好.",
        html="<p>Words with <b>mark-up</b>, 你好.</p>",
        headers={
            "Message-ID": f"<{subject.split()[-1]}@example.org>",
            "List-Unsubscribe": "<http://127.0.0.1:8000/unsubscribe/key/>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )


def let_pauses_pass() -> None:
    OutgoingMail.objects.update(not_before=now() - timedelta(seconds=1))


@pytest.mark.django_db
def test_a_mail_arrives_in_two_parts_with_its_headers(open_mailbox: Mailbox) -> None:
    mail = make_mail()
    assert send_due().sent == 1
    [message] = open_mailbox.messages
    assert message["Subject"] == "恭喜 and done"
    assert (message["From"], message["To"]) == ("Arena <arena@example.org>", "alice@example.org")
    assert message["Message-ID"] == "<done@example.org>"
    assert message["List-Unsubscribe"] == "<http://127.0.0.1:8000/unsubscribe/key/>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert part(message, "plain").strip() == "Plain words, 你好."
    assert part(message, "html").strip() == "<p>Words with <b>mark-up</b>, 你好.</p>"
    mail.refresh_from_db()
    assert mail.sent_at is not None
    assert (mail.text, mail.html, mail.headers) == ("", "", {}), "its links are keys"
    assert send_due().sent == 0
    assert len(open_mailbox.messages) == 1


@pytest.mark.django_db
def test_a_mail_waits_until_the_server_is_back(mailbox: Mailbox) -> None:
    first, second = make_mail("alice@example.org"), make_mail("bob@example.org")
    done = send_due()
    assert (done.sent, done.failed, done.is_reachable) == (0, 1, False)
    first.refresh_from_db()
    second.refresh_from_db()
    assert "refused" in first.problem.lower()
    assert first.not_before is not None
    assert abs(first.not_before - now() - PAUSES[0]) < timedelta(seconds=20)
    assert second.attempts == 0, "where nobody answers, one attempt tells as much as many"
    with mailbox.open():
        assert send_due().sent == 1
        assert mailbox.addresses == ["bob@example.org"], "the other one's pause is not over"
        let_pauses_pass()
        assert send_due().sent == 1
    assert mailbox.addresses == ["alice@example.org", "bob@example.org"]
    assert OutgoingMail.objects.get(pk=first.pk).problem == ""


@pytest.mark.django_db
def test_pauses_grow_until_a_mail_is_given_up_with_the_reason(mailbox: Mailbox) -> None:
    mail = make_mail()
    pauses = []
    for _ in PAUSES:
        assert send_due().failed == 1
        mail.refresh_from_db()
        assert mail.not_before is not None
        pauses.append(round((mail.not_before - now()) / timedelta(minutes=1)))
        let_pauses_pass()
    assert pauses == [1, 5, 15, 60, 240, 720, 1440, 1440]
    assert send_due().given_up == 1
    mail.refresh_from_db()
    assert mail.given_up_at is not None
    assert "refused" in mail.problem.lower()
    with mailbox.open():
        assert send_due().sent == 0
    assert mailbox.messages == []


@pytest.mark.django_db
def test_one_bad_address_keeps_no_other_mail_back(open_mailbox: Mailbox) -> None:
    gone, full = make_mail("gone@example.org"), make_mail("full@example.org")
    make_mail("carol@example.org")
    open_mailbox.answers = {
        gone.address: "550 5.1.1 no such user",
        full.address: "452 4.2.2 mailbox full",
    }
    done = send_due()
    assert (done.sent, done.failed, done.given_up) == (1, 1, 1)
    assert open_mailbox.addresses == ["carol@example.org"]
    gone.refresh_from_db()
    full.refresh_from_db()
    assert gone.given_up_at is not None
    assert gone.problem == "550 5.1.1 no such user"
    assert full.given_up_at is None
    assert full.problem == "452 4.2.2 mailbox full"


@pytest.mark.django_db
def test_what_is_no_mail_is_given_up_and_keeps_no_other_back(open_mailbox: Mailbox) -> None:
    broken = make_mail(subject="two\nlines")
    make_mail("carol@example.org")
    done = send_due()
    assert (done.sent, done.given_up) == (1, 1)
    broken.refresh_from_db()
    assert "newlines" in broken.problem


@pytest.mark.django_db
def test_a_sender_that_dies_in_between_sends_twice_rather_than_never(
    open_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mail()

    class Killed(BaseException):
        pass

    def die(mail: OutgoingMail) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("competitions.mail_delivery._hold", die)
        with pytest.raises(Killed):
            send_due()
    assert send_due().sent == 0, "another sender leaves a claimed mail alone"
    let_pauses_pass()
    assert send_due().sent == 1
    assert [message["Message-ID"] for message in open_mailbox.messages] == [
        "<done@example.org>",
        "<done@example.org>",
    ]


@pytest.mark.django_db
def test_a_sender_whose_claim_ran_out_does_not_undo_what_the_next_one_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mail = make_mail()

    def be_overtaken(message: EmailMultiAlternatives) -> int:
        OutgoingMail.objects.filter(pk=mail.pk).update(attempts=F("attempts") + 1, sent_at=now())
        raise TimeoutError

    monkeypatch.setattr(EmailMultiAlternatives, "send", be_overtaken)
    send_due()
    mail.refresh_from_db()
    assert mail.sent_at is not None
    assert mail.problem == ""


def test_whatever_goes_wrong_in_one_round_there_is_a_next(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.SWEEP_INTERVAL = timedelta()
    stopped = threading.Event()
    rounds: list[int] = []

    def fail_twice() -> Delivery:
        rounds.append(len(rounds))
        if len(rounds) < 3:
            raise KeyError("a surprise")
        stopped.set()
        return Delivery()

    monkeypatch.setattr(mail_delivery, "send_due", fail_twice)
    sender = threading.Thread(target=mail_delivery.deliver_until, args=[stopped], daemon=True)
    sender.start()
    sender.join(30)
    assert not sender.is_alive()
    assert rounds == [0, 1, 2]


def environment(var: Path) -> dict[str, str]:
    """Return that of a program whose database, broker and mail server nobody has named."""
    ours = ("DATABASE_", "REDIS_URL", "ARENA_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "ARENA_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
    }


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_sweepers_at_once_send_every_mail_once(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    mailbox = Mailbox()
    mailbox.takes_s = 0.02
    env = {**environment(tmp_path / "var"), **mailbox.settings()}
    if database == "postgresql":
        env["DATABASE_URL"] = fresh_database(request.getfixturevalue("postgres_url"))
    python = [sys.executable, "-m", "django"]
    subprocess.run([*python, "migrate", "-v0"], cwd=ROOT, env=env, check=True)
    with mailbox.open():
        sweepers = [
            subprocess.Popen([*python, "sweep"], cwd=ROOT, env=env, start_new_session=True)
            for _ in range(2)
        ]
        try:
            make = (
                "from competitions.models import OutgoingMail as M;"
                "M.objects.bulk_create([M(kind='announcement', address=f'{i}@example.org',"
                " subject='s', text='t') for i in range(60)])"
            )
            subprocess.run([*python, "shell", "-v0", "-c", make], cwd=ROOT, env=env, check=True)
            end = time.monotonic() + 60
            while len(mailbox.messages) < 60 and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            for sweeper in sweepers:
                sweeper.send_signal(signal.SIGTERM)
            codes = [sweeper.wait(30) for sweeper in sweepers]
    assert codes == [0, 0]
    assert Counter(mailbox.addresses) == Counter(f"{i}@example.org" for i in range(60))


def test_mails_are_sent_encrypted_and_with_a_log_in(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    make += ["-subj", "/CN=mail", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    seen = []

    def check(server: SMTP, session: Session, envelope: Envelope, how: str, who: object) -> object:
        seen.append(who)
        return AuthResult(success=who == LoginPassword(b"arena", b"secret words"))

    (tmp_path / "password").write_text("secret words\n")
    mailbox = Mailbox()
    env = (
        environment(tmp_path / "var")
        | mailbox.settings()
        | {
            "ARENA_SMTP_TLS": "true",
            "ARENA_SMTP_USER": "arena",
            "ARENA_SMTP_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    python = [sys.executable, "-m", "django"]
    subprocess.run([*python, "migrate", "-v0"], cwd=ROOT, env=env, check=True)
    make_one = (
        "from competitions.models import OutgoingMail as M;"
        "M.objects.create(kind='announcement', address='a@example.org', subject='s', text='t')"
    )
    subprocess.run([*python, "shell", "-v0", "-c", make_one], cwd=ROOT, env=env, check=True)
    sweep = [*python, "sweep", "--once"]
    with mailbox.open(tls_context=context, require_starttls=True, authenticator=check):
        subprocess.run(sweep, cwd=ROOT, env=env, check=True)
        assert mailbox.messages == [], "a certificate that nobody vouches for is not trusted"
        assert seen == [], "nor does its owner learn the password"
        let = "from competitions.models import OutgoingMail as M; M.objects.update(not_before=None)"
        subprocess.run([*python, "shell", "-v0", "-c", let], cwd=ROOT, env=env, check=True)
        subprocess.run(sweep, cwd=ROOT, env=env | {"SSL_CERT_FILE": str(certificate)}, check=True)
    assert mailbox.addresses == ["a@example.org"]
    assert len(seen) == 1


def test_without_a_mail_server_mails_go_to_the_log(tmp_path: Path) -> None:
    code = (
        "import django; django.setup(); from django.conf import settings;"
        "print(settings.EMAIL_BACKEND)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "django.core.mail.backends.console.EmailBackend"
