"""Make an administrator: ``manage.py create_administrator USERNAME EMAIL``.

Their address counts as confirmed. The password is asked for, or read from a file or from
``ARENA_ADMIN_PASSWORD``, so that a start-up script can call this every time: where the account
exists already, nothing changes.
"""

import getpass
import os
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from arena.accounts.models import User
from arena.accounts.services import create_administrator

VARIABLE = "ARENA_ADMIN_PASSWORD"


class Command(BaseCommand):
    help = "Make an administrator with a confirmed address; an account that exists stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("email")
        parser.add_argument(
            "--password-file",
            type=Path,
            help=f"where the password stands, alone; - reads it from standard input. "
            f"Without it: the variable {VARIABLE}, else it is asked for",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        username, email = options["username"], options["email"]
        existing = User.objects.filter(username__iexact=username).first()
        if existing is not None:
            self._leave(existing)
            return
        password = read_password(options["password_file"])
        try:
            user = create_administrator(username=username, email=email, password=password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"{user.username} <{user.email}> is an administrator now.")

    def _leave(self, user: User) -> None:
        if user.is_superuser and user.is_staff and user.is_active:
            self.stdout.write(f"{user.username} is an administrator already; nothing changed.")
            return
        raise CommandError(
            f"There is an account {user.username!r} that is no administrator. An administrator "
            "can make it one in the admin; or choose another name."
        )


def read_password(path: Path | None) -> str:
    """Return the password from the file, the environment, or whoever sits at the terminal.

    Raises:
        CommandError: there is none.
    """
    if path is not None:
        try:
            text = sys.stdin.read() if str(path) == "-" else path.read_text()
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        return text.rstrip("\r\n")
    if password := os.environ.get(VARIABLE):
        return password
    if not sys.stdin.isatty():
        raise CommandError(f"Give --password-file or set {VARIABLE}: nobody can be asked here.")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Once more: "):
        raise CommandError("The two passwords differ.")
    return password
