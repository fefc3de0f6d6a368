"""A progress bar on the terminal, for what takes longer than a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

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
    # By a clock of its own: the first step alone may take long.
    clock = Timer(SHOWN_AFTER_S, bar.start)
    clock.daemon = True
    clock.start()

    def report(done: int, of: int) -> None:
        bar.update(task, completed=done, total=of)

    try:
        yield report
    finally:
        clock.cancel()
        clock.join()
        bar.stop()
