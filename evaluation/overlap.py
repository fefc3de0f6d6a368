"""Work on what is being made while more of it is made."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from styletransfer.clock import count_cores

Item = TypeVar("Item")
Made = TypeVar("Made")


def take_while_made(
    make: Callable[[Callable[[Item], None], Callable[[], bool]], Made],
    take: Callable[[Item], None],
    *,
    at_once: bool = True,
) -> Made:
    """Run ``make`` in a thread and hand what it puts forth to ``take`` here, in order.

    ``make`` gets a function to put an item with, and one that says whether to give up: it should
    once ``take`` failed. With ``at_once`` false nothing is taken before everything is made.

    Returns:
        what ``make`` returned.

    Raises:
        Exception: whatever ``take`` raised, else what ``make`` did; nothing is taken after that.
    """
    items: SimpleQueue[Item | None] = SimpleQueue()
    gave_up = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="maker") as thread:
        making = thread.submit(make, items.put, gave_up.is_set)
        making.add_done_callback(lambda _: items.put(None))
        try:
            if not at_once:
                making.result()
            while (item := items.get()) is not None:
                if making.done() and making.exception() is not None:
                    break
                take(item)
        except BaseException:
            gave_up.set()
            raise
    return making.result()


def has_cores_for_both(threads: int) -> bool:
    """Say whether a generator and a scorer of ``threads`` each have cores of their own here.

    Where they have not, scoring would count against the generator's time limit.
    """
    return count_cores() >= 2 * threads
