import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from arena.operations import checks


class Command(BaseCommand):
    help = "Look at everything that the site stands on: each line is ok or says what to do."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("checks", nargs="*", choices=[*checks.CHECKS, []], help="all if none")
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        found = checks.run(options["checks"] or None)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in found], indent=2))
        else:
            for each in found:
                mark = self.style.SUCCESS("ok   ") if each.is_ok else self.style.ERROR("WRONG")
                self.stdout.write(f"{mark} {each.check:<11} {each.detail}")
                if not each.is_ok:
                    self.stdout.write(f"{'':17} -> {each.remedy}")
        if not all(each.is_ok for each in found):
            sys.exit(1)
