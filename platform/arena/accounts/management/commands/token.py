"""Make an API token: ``manage.py token USER [--name NAME]``."""
# ruff: noqa: A005 - the command is named by its file

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from arena.accounts.models import ApiToken, User


class Command(BaseCommand):
    help = "Make an API token for a user and print its key, which can't be had again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="username or e-mail address")
        parser.add_argument("--name", default="command line", help="what the token is for")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["user"]
        field = "email__iexact" if "@" in wanted else "username"
        user = User.objects.filter(**{field: wanted}).first()
        if user is None:
            raise CommandError(f"There is no user {wanted!r}.")
        _token, key = ApiToken.issue(user, name=options["name"][:80])
        self.stdout.write(key)
