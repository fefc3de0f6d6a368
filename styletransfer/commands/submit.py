"""``submit``: send a generator to a site, and follow it until it is scored."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from styletransfer.commands.arguments import positive, require_file
from styletransfer.errors import StyleTransferError
from styletransfer.remote import ENDED, Site, read_token

EXAMPLE = """\
example:
  export STYLEARENA_TOKEN=...        # from your settings on the site, API tokens
  %(prog)s --site https://arena.example.org --phase 1 --generator mine.onnx --wait

The number of the phase stands in the address of its page. Without a manifest the site proposes one.
Interrupted or cut off, run the same command again: only what is missing is sent.
The token may also be in ~/.config/stylearena/token, readable by you alone (mode 0600).
"""
LOOK_EVERY_S = 2.0


class NotScored(StyleTransferError):
    """The submission ended without scores."""


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "submit",
        help="send a generator to a site and follow it",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--site", required=True, help="address of the site, https://...")
    add("--phase", type=positive, required=True, help="number of the phase")
    add("--generator", type=Path, required=True, help="the checkpoint's file")
    add("--manifest", type=Path, help="JSON file that describes the generator")
    add("--token-file", type=Path, help="file with the token, mode 0600")
    add("--wait", action="store_true", help="wait until it is scored and print the scores")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Send the file, enter it, and follow it if that is wanted."""
    require_file(arguments.generator)
    manifest = None
    if arguments.manifest is not None:
        from styletransfer.commands.manifests import read_manifest  # loads onnx

        manifest = read_manifest(arguments.manifest).model_dump(mode="json")
    site = Site(arguments.site, read_token(os.environ, arguments.token_file))
    upload = send(site, arguments.phase, arguments.generator)
    print(f"SHA-256 {upload['sha256']}, here and on the site", file=sys.stderr)
    submission = site.submit(arguments.phase, upload["id"], manifest)
    print(urljoin(site.address, submission["links"]["page"]), flush=True)
    if arguments.wait:
        follow(site, submission["id"])


def send(site: Site, phase: int, path: Path) -> dict[str, Any]:
    """Send the file, with a bar on the terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("uploading"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("uploading", total=None)
        return site.upload(
            phase,
            path,
            on_progress=lambda sent, total: bar.update(task, completed=sent, total=total),
        )


def follow(site: Site, submission: str) -> None:
    """Print each state as it comes; the scores at the end.

    Raises:
        NotScored: it ended otherwise.
    """
    told = ""
    while True:
        found = site.get_submission(submission)
        now = _describe(found)
        if now != told:
            print(now, file=sys.stderr)
            told = now
        if found["status"] in ENDED:
            break
        time.sleep(LOOK_EVERY_S)
    if found["status"] != "scored":
        failure = found.get("failure") or {}
        raise NotScored(failure.get("detail") or f"the submission was {found['status']}")
    for key, score in found["scores"].items():
        low, high = score.get("low"), score.get("high")
        interval = "" if low is None else f"  {low:.5g} … {high:.5g}"
        print(f"{key:<18}{score['value']:>12.6g}{interval}")


def _describe(found: dict[str, Any]) -> str:
    place = found.get("queue_position")
    done, of = found["progress"]["done"], found["progress"]["of"]
    if found.get("no_worker_online"):
        return f"{found['status']}: no worker is online, the place in the queue is kept"
    if place:
        return f"{found['status']}: place {place}"
    return f"{found['status']}: {found['step']} {done}/{of}" if of else str(found["status"])
