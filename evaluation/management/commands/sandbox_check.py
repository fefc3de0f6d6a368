import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evaluation.sandbox import Finding, LeakySandbox, SandboxUnavailable, cgroups, self_test
from evaluation.sandbox.confinement import Profile
from evaluation.sandbox.gpu import find_gpu

# Wide enough for nearly all; what is longer is cut.
_WIDTHS = (17, 62)


class Command(BaseCommand):
    help = (
        "Try every wall of the sandbox from inside and say what happened; "
        "docs/operators.md says what to do about each. Exit status 1 if one is missing."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
        parser.add_argument(
            "--gpu", type=int, metavar="N", help="let the sandbox see /dev/nvidiaN as well"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        reason = ""
        try:
            gpu = None if options["gpu"] is None else find_gpu(options["gpu"])
            findings = self_test(Profile(gpu=gpu))
        except LeakySandbox as error:
            findings, reason = list(error.findings), error.reason
        except SandboxUnavailable as error:
            findings, reason = [], error.reason
        if options["json"]:
            words = {
                "tight": not reason,
                "reason": reason,
                "cgroup": _cgroup(),
                "findings": [asdict(finding) for finding in findings],
            }
            self.stdout.write(json.dumps(words, indent=2))
        else:
            self._print_table(findings)
            if findings:
                self.stdout.write(f"Limits of cgroup v2: {_cgroup()}")
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


def _cgroup() -> str:
    try:
        return f"used, below {cgroups.find_home()}"
    except (cgroups.Unusable, OSError) as error:
        return f"not used: {error}"
