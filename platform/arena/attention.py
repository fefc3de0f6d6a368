"""What organizers see first: their competitions, and what waits for somebody to act."""

from typing import Any

from competitions.people import Viewer


def overview(user: Viewer) -> dict[str, Any]:
    return {}
