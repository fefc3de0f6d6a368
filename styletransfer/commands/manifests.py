"""The manifest that a generator is run by: the one given, or the one its file speaks for."""

from pathlib import Path

from pydantic import ValidationError

from styletransfer.errors import StyleTransferError
from styletransfer.manifest import Manifest
from styletransfer.proposal import Proposal
from styletransfer.proposing import propose


class NotAManifest(StyleTransferError, ValueError):
    """A file does not describe a generator."""


def choose_manifest(path: Path | None, checkpoint: bytes) -> tuple[Manifest, str]:
    """Return the manifest that is given, or one that the checkpoint speaks for.

    Returns:
        it, and what to tell of it: nothing unless it is proposed.

    Raises:
        NotAManifest: the file does not describe a generator.
        CheckpointRejected: no manifest would make a generator of the checkpoint.
    """
    if path is not None:
        return read_manifest(path), ""
    proposal = propose(checkpoint)
    return proposal.manifest, describe_proposal(proposal)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        NotAManifest: the file does not describe a generator.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        where = f"{field}: " if field else ""
        raise NotAManifest(f"{path} is not a manifest: {where}{first['msg']}") from error


def describe_proposal(proposal: Proposal) -> str:
    """Write a proposal for a terminal: the JSON to copy, and a line for each guess."""
    described = proposal.manifest.model_dump(mode="json")
    lines = ["No manifest was given; this one is proposed from the file:"]
    lines.append(f"  {proposal.manifest.canonical_json()}")
    if proposal.guesses:
        lines.append("Guessed, so look at the pictures before you trust the scores:")
        width = max(map(len, proposal.guesses))
        for name in proposal.guesses:
            value = described[name]
            shown = value if isinstance(value, str) else ", ".join(map(str, _leaves(value)))
            lines.append(f"  {name:<{width}}  {shown}: {proposal.reasons[name]}")
        lines.append("If one is wrong, correct that JSON in a file and name it by --manifest.")
    return "\n".join(lines)


def _leaves(value: object) -> list[object]:
    """Return what a value of a manifest is made of, without the names."""
    if isinstance(value, dict):
        return [f"{key} {part}" for key, part in value.items()]
    if isinstance(value, list):
        return [
            f"{part['name']} is the {part['role']}" if isinstance(part, dict) else part
            for part in value
        ]
    return [value]
