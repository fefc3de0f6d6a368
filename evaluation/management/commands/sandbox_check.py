import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evaluation.sandbox import Finding, LeakySandbox, SandboxUnavailable, self_test

_WIDTHS = (17, 62)


class Command(BaseCommand):
    help = (
        "Try every wall of the sandbox from inside and say what happened; "
        "docs/operators.md says what to do about each. Exit status 1 if one is missing."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = ""
        try:
            findings = self_test()
        except LeakySandbox as error:
            findings, reason = list(error.findings), error.reason
        except SandboxUnavailable as error:
            findings, reason = [], error.reason
        if options["json"]:
            words = {
                "tight": not reason,
                "reason": reason,
                "findings": [asdict(finding) for finding in findings],
            }
            self.stdout.write(json.dumps(words, indent=2))
        else:
            self._print_table(findings)
        if reason:
            if not options["json"]:
                raise CommandError(reason)
            sys.exit(1)

    def _print_table(self, findings: list[Finding]) -> None:
        for finding in findings:
            verdict = "ok" if finding.stood else "MISSING"
            tried = finding.tried
            if len(tried) > _WIDTHS[1]:
                tried = f"{tried[: _WIDTHS[1] - 1]}…"
            line = f"{finding.wall:{_WIDTHS[0]}} {tried:{_WIDTHS[1]}} {finding.happened}"
            self.stdout.write(f"{verdict:8}{line}")
        if findings and all(finding.stood for finding in findings):
            walls = len({finding.wall for finding in findings}) - 1
            self.stdout.write(f"All {walls} walls stood.")
