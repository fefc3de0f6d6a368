"""A manifest that a file speaks for: what was read from it, and what was only guessed; torch-free.

Nothing is decided here: a participant confirms a proposal on the picture that it gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from styletransfer.manifest import Manifest

# English only: whoever shows a proposal in a browser translates the sentences by their codes.
SENTENCES: Mapping[str, str] = {
    # Read from the file
    "seen_in_file": "The file says so itself.",
    "weights_fit": "The names and shapes of all weights are those of this architecture.",
    "graph_describes_itself": "An ONNX graph describes its own network.",
    "fixed_in_graph": "The graph takes pictures of one size only.",
    "part_of_architecture": "The architecture itself says so.",
    "bounded_by_last_layer": "The last layer can return no others: {low} to {high}.",
    # Guessed
    "nearest_architecture": "{found} of the architecture's {expected} weights are there.",
    "named_style": "One input is named after styles.",
    "named_content": "One input is named after contents.",
    "in_their_order": "The inputs' names don't tell; most graphs take the content first.",
    "halved_in_graph": "The graph halves its pictures until a multiple of {multiple_of} is needed.",
    "never_halved": "The graph never halves its pictures: any size will do.",
    "scaled_at_start": "What the graph does to its input first brings this range into its own.",
    "scaled_at_end": "What the graph does last brings its own range into this one.",
    "usual_for_architecture": "Nearly all checkpoints of this architecture were trained so.",
    "size_of_last_weights": "The last layer's weights are as large as this range takes.",
    "like_output": "Most generators take what they return.",
    "like_input": "Most generators return what they take.",
    "usual": "Most generators were trained so.",
    "mean_colour_order": "The mean colour that the graph takes away has this order.",
}
_CERTAIN = frozenset(
    {
        "seen_in_file",
        "weights_fit",
        "graph_describes_itself",
        "fixed_in_graph",
        "part_of_architecture",
        "bounded_by_last_layer",
    }
)


@dataclass(frozen=True)
class Reason:
    """Why a field of the manifest has its value.

    Attributes:
        code: one of ``SENTENCES``, stable.
        facts: what the sentence names, as plain JSON values.
    """

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_certain(self) -> bool:
        """Tell whether the value was read from the file and not guessed."""
        return self.code in _CERTAIN

    def __str__(self) -> str:
        return SENTENCES[self.code].format(**self.facts)


@dataclass(frozen=True)
class Proposal:
    """A manifest with a reason for each of its fields."""

    manifest: Manifest
    reasons: Mapping[str, Reason]

    @property
    def guesses(self) -> tuple[str, ...]:
        """Name the fields that somebody has to confirm."""
        return tuple(name for name, reason in self.reasons.items() if not reason.is_certain)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "manifest": self.manifest.model_dump(mode="json"),
            "reasons": {
                name: {
                    "code": reason.code,
                    "is_certain": reason.is_certain,
                    "facts": dict(reason.facts),
                }
                for name, reason in self.reasons.items()
            },
        }
