"""``stylearena worker``: lend this machine to a platform elsewhere."""

import argparse
import os
import platform
import re
from pathlib import Path
from typing import Any

from styletransfer.errors import StyleTransferError
from styletransfer.remote import read_token

EXAMPLE = """\
example:
  %(prog)s --url https://arena.example.org --token-file token --device cuda:0

The token comes from the platform's administration, "Worker tokens"; its file must be readable by
you alone (mode 0600). Instead of options: STYLEARENA_URL, STYLEARENA_WORKER_TOKEN, ARENA_DEVICE,
ARENA_THREADS, ARENA_WEIGHTS_DIR. One process for each GPU. Ctrl-C ends it: what it holds goes to
another worker at once.
"""


class BadOption(StyleTransferError):
    """An option can't be used."""


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "worker",
        help="score submissions of a platform on this machine",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--url", default=os.environ.get("STYLEARENA_URL"), help="the platform, https://...")
    add("--token-file", type=Path, help="file with the worker's token, mode 0600")
    add("--name", default=platform.node(), help="what this worker is called; default: %(default)s")
    add("--device", default=os.environ.get("ARENA_DEVICE") or "cpu", help="cpu, cuda or cuda:1")
    add("--threads", type=int, default=int(os.environ.get("ARENA_THREADS") or 1))
    add("--folder", type=Path, default=_folder(), help="for files it keeps; default: %(default)s")
    add("--cache-gib", type=int, default=20, help="how much it keeps; default: %(default)s")
    add("--weights", type=Path, default=_weights(), help="folder of the pretrained networks")
    add("--ca-file", type=Path, help="certificate of an authority that this machine does not know")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Join the platform and work until somebody ends it."""
    # Loads torch and Celery, which the other commands need not wait for.
    from evaluation.lease import PlatformAway
    from evaluation.remote.platform_client import Platform
    from evaluation.remote.worker import Options, RemoteWorker, set_up_logs

    if not arguments.url:
        raise BadOption("say with --url or STYLEARENA_URL which platform to work for")
    if arguments.ca_file is not None and not arguments.ca_file.is_file():
        raise BadOption(f"{arguments.ca_file}: no such file")
    token = read_token(
        os.environ, arguments.token_file, variable="STYLEARENA_WORKER_TOKEN", name="worker-token"
    )
    set_up_logs()
    worker = RemoteWorker(
        Platform(arguments.url, token, ca_file=arguments.ca_file),
        Options(
            name=re.sub(r"[^A-Za-z0-9._-]", "-", arguments.name).strip("-.")[:60] or "worker",
            folder=arguments.folder,
            device=arguments.device,
            threads=arguments.threads,
            weights=arguments.weights,
            ca_file=arguments.ca_file,
            cache_bytes=arguments.cache_gib << 30,
        ),
    )
    try:
        worker.run()
    except PlatformAway as error:
        raise BadOption(str(error)) from error


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "stylearena" / "worker"


def _weights() -> Path | None:
    named = os.environ.get("ARENA_WEIGHTS_DIR")
    return Path(named) if named else None
