"""The published JSON Schema of score cards; free of torch."""

from functools import cache
from importlib.resources import files

SCHEMA_VERSION = 2
# What a card names until a site that offers the schema puts its address there.
SCHEMA_ID = f"urn:stylearena:score-card:{SCHEMA_VERSION}"


@cache
def read_schema() -> str:
    """Return the schema, as text."""
    return (files("styletransfer") / "score_card.schema.json").read_text(encoding="utf-8")
