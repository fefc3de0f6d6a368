from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from arena.operations import copies, dumps


class Command(BaseCommand):
    help = "Put a copy that backup made in the place of an empty site; stop everything first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--replace", action="store_true", help="a site that is not empty")

    def handle(self, *args: Any, file: Path, replace: bool, **options: Any) -> None:
        try:
            copied = copies.restore(file, may_replace=replace)
        except (copies.Refused, dumps.CopyFailed, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"restored the database and {copied.files} files")
