"""A progress bar on the terminal, for what takes longer than a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from styletransfer.references import Progress as Report

SHOWN_AFTER_S = 1.0


@contextmanager
def show_progress(title: str) -> Iterator[Report]:
    """Give a function to report progress to; a bar appears once a second has passed.

    It goes to the error output, and only if that is a terminal.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(title, total=None)
    started = time.monotonic()

    def report(done: int, of: int) -> None:
        if not bar.live.is_started and time.monotonic() - started > SHOWN_AFTER_S:
            bar.start()
        bar.update(task, completed=done, total=of)

    try:
        yield report
    finally:
        bar.stop()
