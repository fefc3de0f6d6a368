"""Another manifest that fits the file, where its check has found one."""

from typing import Any

from pydantic import ValidationError

from styletransfer.architectures import ARCHITECTURES
from styletransfer.manifest import Manifest
from styletransfer.usual_manifest import usual_manifest
from submissions.models import Submission
from submissions.states import Status

_MENDED_BY_IT = frozenset({"wrong_keys", "wrong_shapes"})
# What a participant knows and no file tells stays as it was given.
_KEPT = ("input_range", "output_range", "channel_order")


def fitting_manifest(submission: Submission) -> Manifest | None:
    """Return a manifest by which all weights of a rejected file fit; None if none is known.

    The facts come out of a sandbox: what is no manifest, or the same as before, is no suggestion.
    """
    if submission.status != Status.REJECTED or submission.failure_code not in _MENDED_BY_IT:
        return None
    facts, given = submission.failure_facts, submission.manifest
    architecture = ARCHITECTURES.get(str(facts.get("fits_architecture")))
    if architecture is None or given["format"] == "onnx":
        return None
    try:
        found = usual_manifest(architecture, _parameters(facts), given["format"])
    except (TypeError, ValueError, ValidationError):
        return None
    changes: dict[str, Any] = {}
    if given.get("architecture") == architecture.name:
        changes = {name: given[name] for name in _KEPT}
    fitting = found.model_copy(update=changes)
    is_new = fitting.model_dump(mode="json") != given
    return fitting if is_new else None


def _parameters(facts: dict[str, Any]) -> dict[str, int]:
    return {str(name): value for name, value in facts.get("fits_parameters", ())}
