"""Which parts of a score card somebody may read."""

from collections.abc import Mapping
from typing import Any

from styletransfer.card_schema import SCHEMA_ID

# What looks odd, and what was tried to find it: organizers look before anything is concluded.
FOR_ORGANIZERS = frozenset({"flags", "guards"})
FOR_THOSE_WHO_SEE_PAIRS = frozenset({"per_pair"})


def readable_parts(
    card: Mapping[str, Any], *, may_see_pairs: bool, is_organizer: bool, schema_url: str
) -> dict[str, Any]:
    """Return the card without what is not for this reader, and with the address of its schema."""
    hidden: frozenset[str] = frozenset()
    if not may_see_pairs:
        hidden |= FOR_THOSE_WHO_SEE_PAIRS
    if not is_organizer:
        hidden |= FOR_ORGANIZERS
    shown = {name: part for name, part in card.items() if name not in hidden}
    # Cards of earlier versions are of another schema, and name none.
    return shown | ({"$schema": schema_url} if card.get("$schema") == SCHEMA_ID else {})
