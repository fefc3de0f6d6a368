"""Which parts of a score card somebody may read."""

from collections.abc import Mapping
from typing import Any

# What looks odd, and what was tried to find it: organizers look before anything is concluded.
FOR_ORGANIZERS = frozenset({"flags", "guards"})
FOR_THOSE_WHO_SEE_PAIRS = frozenset({"per_pair"})


def readable_parts(
    card: Mapping[str, Any], *, may_see_pairs: bool, is_organizer: bool
) -> dict[str, Any]:
    """Return the card without what is not for this reader."""
    hidden: frozenset[str] = frozenset()
    if not may_see_pairs:
        hidden |= FOR_THOSE_WHO_SEE_PAIRS
    if not is_organizer:
        hidden |= FOR_ORGANIZERS
    return {name: part for name, part in card.items() if name not in hidden}
