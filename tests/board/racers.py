"""Visitors who ask for one board at once. Run as ``python -m tests.board.racers``."""

from pathlib import Path
from typing import Any

from tests.races import RACERS, Race, main

ROUNDS = 5


def many_visitors() -> Any:
    """Make a board for each round."""
    from tests.factories import make_entry, make_phase

    phases = [make_phase() for _ in range(ROUNDS)]
    for phase in phases:
        for value in range(30):
            make_entry(phase, float(value))
    return [phase.pk for phase in phases]


def ask_for_each(number: int, task: Any) -> str:
    """Ask for each board as soon as all others do; note on disk who had to make it."""
    import time

    from django.conf import settings
    from django.test import Client

    from competitions import board_views

    notes = Path(settings.VAR_DIR) / "made"
    notes.mkdir(exist_ok=True)
    make = board_views.board_context

    def noted(request: Any, phase: Any, *, is_whole: bool) -> Any:
        (notes / f"{phase.pk}-{number}").touch()
        return make(request, phase, is_whole=is_whole)

    board_views.board_context = noted
    came_to = []
    for phase in task:
        (notes / f"at-{phase}-{number}").touch()
        while len(list(notes.glob(f"at-{phase}-*"))) < RACERS:
            time.sleep(0.001)
        # Only the part that changes: the rest of the page needs files that are collected.
        visitor = Client(headers={"host": "127.0.0.1", "hx-request": "true"})
        answer = visitor.get(f"/phases/{phase}/board/")
        came_to.append(str(answer.status_code))
    return " ".join(came_to)


def who_made_it(task: Any) -> dict[str, Any]:
    from django.conf import settings

    notes = [path.name.split("-")[0] for path in (Path(settings.VAR_DIR) / "made").glob("[0-9]*")]
    return {"made": [notes.count(str(phase)) for phase in task]}


RACES: dict[str, Race] = {"board": (many_visitors, ask_for_each, who_made_it)}

if __name__ == "__main__":
    main(RACES)
