"""The second pass over some pairs, as a worker makes it: whatever happens there fails nobody."""

import logging
from collections.abc import Callable, Sequence

from evaluation.attempts import Attempt
from evaluation.sandbox import SandboxUnavailable, Stylised
from styletransfer.second_pass import UNAVAILABLE, SecondPass, pass_again
from styletransfer.values import Image

log = logging.getLogger(__name__)


def make_second_pass(
    attempt: Attempt,
    order: tuple[int, ...],
    scored: Callable[[int], Image],
    run_sandbox: Callable[[Sequence[int]], Stylised],
) -> SecondPass:
    """Make some pictures anew and compare them with the first ones.

    A generator that fails now is flagged, for it made the same pictures before. A sandbox that
    fails is our own trouble: the scores are there, and nothing is known about the order.

    Raises:
        SandboxStopped: the submission was cancelled or taken over.
    """

    def again(numbers: Sequence[int]) -> Sequence[Image]:
        return list(run_sandbox(numbers).outputs)

    try:
        second = pass_again(order, scored, again)
    except SandboxUnavailable as error:
        log.warning(
            "submission %s: no second pass: %s", attempt.desk.assignment.submission, error.reason
        )
        return SecondPass(order, failure=UNAVAILABLE)
    if second.failure == "too_slow" and attempt.lease.was_frozen:
        return SecondPass(order, failure=UNAVAILABLE)
    return second
