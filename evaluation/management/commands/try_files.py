import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evaluation.sandbox import Limits, SandboxPool, SandboxUnavailable, self_test
from evaluation.sandbox.trying import ACCEPTED, FAULT, Tried, is_checkpoint, try_file
from submissions.failures import Failure

_MIB = 1 << 20


class Command(BaseCommand):
    help = (
        "Do with each file of a folder what a check does, in real sandboxes, and say how it ends: "
        "nothing is submitted or stored. A manifest may lie beside a file, as NAME.manifest.json."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="searched with all that is below it")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument("--side", type=int, default=256, help="of the picture that is made")
        parser.add_argument("--seconds", type=float, default=60.0, help="a file may take")
        parser.add_argument("--memory", type=int, default=3072, metavar="MIB", help="it may take")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        files = sorted(path for path in folder.rglob("*") if is_checkpoint(path))
        if not files:
            raise CommandError(f"There is no file in {folder}.")
        limits = Limits(wall_s=options["seconds"], memory_bytes=options["memory"] * _MIB)
        faults = 0
        try:
            self_test()
        except SandboxUnavailable as error:
            raise CommandError(error.reason) from error
        with SandboxPool(2, refills_beside_jobs=True) as pool:
            for path in files:
                pool.wait_until_ready()
                tried = try_file(pool, path, side=options["side"], limits=limits)
                faults += tried.code == FAULT
                name = str(path.relative_to(folder))
                self.stdout.write(_as_json(name, tried) if options["json"] else _told(name, tried))
        if faults:
            raise CommandError(f"{faults} of {len(files)} files met a fault of the platform.")


def _as_json(name: str, tried: Tried) -> str:
    return json.dumps({"file": name, **asdict(tried), "detail": _detail(tried)})


def _told(name: str, tried: Tried) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return f"{tried.code:20} {tried.seconds:6.2f} s  {shown}  {_detail(tried)}".rstrip()


def _detail(tried: Tried) -> str:
    return "" if tried.code == ACCEPTED else Failure(tried.code, tried.facts).detail
