"""Every reason a submission can end with: a stable code and one sentence that helps.

The sentence says what is wrong, whose fault it is and what to do. Facts come from the core
or the sandbox; they are data, cut short and escaped where shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

_TEXTS: dict[str, "str | Promise"] = {
    # The file itself
    "empty_file": gettext_lazy(
        "The file is empty. Check that the export finished, then upload it again."
    ),
    "not_a_checkpoint": gettext_lazy(
        "This file is neither safetensors nor ONNX (it looks like: {kind}). "
        "Export the generator to one of these and upload that file."
    ),
    "corrupt_file": gettext_lazy(
        "The file is damaged or incomplete: {reason}. Export it again and compare its size."
    ),
    "format_mismatch": gettext_lazy(
        "The manifest says {expected}, but the file is {found}. Correct the manifest."
    ),
    "format_refused": gettext_lazy(
        "Files of this kind ({kind}) can run code when opened and are not accepted. Save the "
        "weights with safetensors.torch.save_file(generator.state_dict(), 'generator.safetensors') "
        "or export with torch.onnx.export(generator, example, 'generator.onnx')."
    ),
    "unknown_architecture": gettext_lazy(
        "The architecture {architecture} is not known here. Export the generator to ONNX instead: "
        "torch.onnx.export(generator, example, 'generator.onnx')."
    ),
    # The network in it
    "wrong_keys": gettext_lazy(
        "The weights do not fit the architecture. Missing: {missing}. Not expected: {unexpected}. "
        "Check the architecture and its parameters, or export to ONNX."
    ),
    "wrong_shapes": gettext_lazy(
        "The tensor {key} has shape {found}, but the architecture needs {expected}. "
        "Check the architecture's parameters, such as its width."
    ),
    "wrong_dtype": gettext_lazy(
        "The tensor {key} has type {found}. Save the weights as float32, float16 or bfloat16."
    ),
    "non_finite_weights": gettext_lazy(
        "The tensor {key} holds NaN or infinite numbers. The training has probably diverged: "
        "choose an earlier checkpoint."
    ),
    "too_many_parameters": gettext_lazy(
        "The generator has {found} parameters; at most {limit} are accepted."
    ),
    "unsupported_operator": gettext_lazy(
        "The ONNX graph uses the operator {operator}, which is not accepted here. "
        "Export without it."
    ),
    "external_data": gettext_lazy(
        "The ONNX graph refers to weights in another file. Save it with all weights inside: "
        "onnx.save_model(model, path, save_as_external_data=False)."
    ),
    "onnx_refused": gettext_lazy(
        "The ONNX graph can't be accepted: {reason}. Export it again as a plain graph."
    ),
    "wrong_inputs": gettext_lazy(
        "The generator's image inputs are {found}, the manifest says {expected}. Make the "
        "manifest name them as the file does; each must be a float32 batch of RGB pictures."
    ),
    # What it does
    "wrong_size": gettext_lazy(
        "The generator takes images of {found} only, this phase has {expected}. "
        "Export it for that size or with free height and width."
    ),
    "output_shape": gettext_lazy(
        "For an image of {expected} the generator returned {found}. It must return one RGB "
        "picture of the same size."
    ),
    "non_finite_output": gettext_lazy(
        "The generator returned NaN or infinite numbers. Check the input range in the manifest "
        "and the weights."
    ),
    "too_slow": gettext_lazy(
        "The generator did not finish within {limit_s} seconds. Make it smaller or faster."
    ),
    "out_of_memory": gettext_lazy(
        "The generator needs more memory than the phase allows. Make it smaller."
    ),
    "generator_crashed": gettext_lazy(
        "The generator stopped with an error; the log says more. Try it on one image with "
        "onnxruntime or PyTorch first."
    ),
    "refused": gettext_lazy("The checkpoint was refused: {reason}."),
    # The platform
    "platform_fault": gettext_lazy(
        "Something went wrong on our side. This is not your fault and costs you nothing. "
        "It will be tried again by itself."
    ),
    "platform_fault_final": gettext_lazy(
        "Something went wrong on our side, several times. This is not your fault and costs you "
        "nothing. Submit it again, and tell the organizers if it fails once more."
    ),
}
CODES = frozenset(_TEXTS)


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _shown(fact: Any) -> str:
    if isinstance(fact, list | tuple):
        return ", ".join(str(part) for part in fact) or _("none")
    return str(fact)


@dataclass(frozen=True)
class Failure:
    code: str
    facts: Mapping[str, Any]

    @property
    def detail(self) -> str:
        """One sentence in the reader's language."""
        text = str(_TEXTS.get(self.code, _TEXTS["refused"]))
        shown = _Facts({key: _shown(fact) for key, fact in self.facts.items()})
        return text.format_map(shown)

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "detail": self.detail}
