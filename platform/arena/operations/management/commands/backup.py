from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from arena.operations import copies, dumps


class Command(BaseCommand):
    help = "Write database and files to one file, while the site goes on; without the secret key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="to be made, such as arena.tar")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            copied = copies.back_up(file)
        except (copies.Refused, dumps.CopyFailed, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: the database and {copied.files} files")
        if copied.missing:
            self.stderr.write(f"{copied.missing} files that rows name were not there")
