from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from evaluation.stored_files import missing_files, orphans, remove_orphans

ALL = 1 << 62


class Command(BaseCommand):
    help = "List files that no row names, and files that rows name and that are not there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--remove", action="store_true", help="remove the files that no row names"
        )

    def handle(self, *args: Any, remove: bool, **options: Any) -> None:
        missing = 0
        for name in missing_files():
            missing += 1
            self.stdout.write(f"missing  {name}")
        if remove:
            number = remove_orphans(ALL)
        else:
            number = 0
            for name in orphans():
                number += 1
                self.stdout.write(f"orphan   {name}")
        what = "removed" if remove else "found (--remove removes them)"
        self.stdout.write(f"{missing} missing; {number} that no row names {what}")
