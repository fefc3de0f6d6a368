"""Every reason a submission can end with: a stable code and one sentence that helps.

The sentence says what is wrong, whose fault it is and what to do. Facts come from the core
or the sandbox; they are data, cut short and escaped where shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from submissions.causes import cause_of

# `generator` is the participant's network. ONNX takes any; weights need a known architecture.
EXPORT = """\
generator.eval()
torch.onnx.export(generator, torch.rand(1, 3, 256, 256), "generator.onnx", dynamo=False)
safetensors.torch.save_file(generator.state_dict(), "generator.safetensors")"""
_MENDED_BY_EXPORT = frozenset(
    {
        "format_refused",
        "not_a_checkpoint",
        "pickled_objects",
        "no_weights",
        "several_networks",
        "unknown_architecture",
        "wrong_keys",
    }
)
_TEXTS: dict[str, "str | Promise"] = {
    # The file itself
    "empty_file": gettext_lazy(
        "The file is empty. Check that the export finished, then upload it again."
    ),
    "not_a_checkpoint": gettext_lazy(
        "This file is neither safetensors nor ONNX nor a state dict (it looks like: {kind}). "
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
    "pickled_objects": gettext_lazy(
        "The file holds other Python objects than tensors ({name}): opening it would run code, so "
        "it is not accepted. Save the state dict alone, "
        "torch.save(generator.state_dict(), 'generator.pth'), or export with "
        "torch.onnx.export(generator, example, 'generator.onnx')."
    ),
    "no_weights": gettext_lazy(
        "There are no weights of a network in the file; it holds: {found}. Save "
        "generator.state_dict(), or export to ONNX."
    ),
    "several_networks": gettext_lazy(
        "The file holds several networks ({found}), and it does not say which one is the "
        "generator. Save its state dict alone."
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
    "too_much_memory": gettext_lazy(
        "For pictures of {size} the generator needs at least {needed_bytes} of memory, "
        "{weights_bytes} of it for its weights; this phase allows {limit_bytes}. So it was not "
        "run. Make it narrower, or halve the pictures earlier."
    ),
    "generator_crashed": gettext_lazy(
        "The generator stopped with an error; the log says more. Try it on one image with "
        "onnxruntime or PyTorch first."
    ),
    "duplicate": gettext_lazy(
        "Your team has submitted this file with this manifest already; that one counts."
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
# Where one code stands for problems that need different words, the fact ``problem`` tells them.
_SPECIAL: dict[tuple[str, str], "str | Promise"] = {
    ("unknown_architecture", "weights"): gettext_lazy(
        "The file's weights ({found}, …) are those of no architecture known here ({known}). "
        "Export the generator to ONNX instead: "
        "torch.onnx.export(generator, example, 'generator.onnx')."
    ),
    ("format_refused", "pickle_protocol"): gettext_lazy(
        "The file was saved with pickle_protocol={protocol}, which can't be read without running "
        "it. Save it as torch.save does by itself: "
        "torch.save(generator.state_dict(), 'generator.pth')."
    ),
    ("wrong_inputs", "count"): gettext_lazy(
        "The ONNX graph takes these inputs: {found}. Export it with one, the content image, or "
        "two, content and style image."
    ),
    ("too_many_parameters", "tensors"): gettext_lazy(
        "The file holds {found} tensors; at most {limit} are accepted."
    ),
    ("wrong_dtype", "picture"): gettext_lazy(
        "The generator takes or returns {key} as {found}. Export it with float32 pictures."
    ),
    ("wrong_inputs", "layout"): gettext_lazy(
        "The generator's input {key} has the shape {found}; it must be {expected}: one RGB "
        "picture, channels first. Export it that way."
    ),
    ("output_shape", "outputs"): gettext_lazy(
        "The ONNX graph has {found} outputs. Export it with a single one, the picture."
    ),
}
# What the core calls the reasons and kinds it finds.
_WORDS: dict[str, "str | Promise"] = {
    # Damaged files
    "truncated": gettext_lazy("it ends too early"),
    "zip_entries": gettext_lazy("the archive in it is not as torch.save writes it"),
    "unreadable": gettext_lazy("PyTorch can't read it"),
    "header_too_long": gettext_lazy("its header is too long"),
    "header_json": gettext_lazy("its header can't be read"),
    "metadata": gettext_lazy("the metadata in its header can't be read"),
    "duplicate_key": gettext_lazy("it holds a tensor twice"),
    "entry": gettext_lazy("its header describes a tensor that can't be"),
    "tensor_shape": gettext_lazy("a tensor has a shape that can't be"),
    "tensor_size": gettext_lazy("a tensor has more or fewer numbers than its shape says"),
    "overlap": gettext_lazy("tensors overlap"),
    "hole": gettext_lazy("there is a gap between tensors"),
    "trailing_bytes": gettext_lazy("something follows the last tensor"),
    "safetensors": gettext_lazy("safetensors can't load it"),
    "protobuf": gettext_lazy("ONNX can't read it"),
    "no_graph": gettext_lazy("there is no graph in it"),
    # ONNX graphs
    "functions": gettext_lazy("it defines functions of its own"),
    "function_attribute": gettext_lazy("an attribute refers to a function"),
    "sub_graph_or_sparse_attribute": gettext_lazy("an operator holds a graph or a sparse tensor"),
    "sparse_weights": gettext_lazy("it has sparse weights"),
    "training_info": gettext_lazy("it holds what is needed for training only"),
    "repeated_weight": gettext_lazy("two weights have the same name"),
    "too_many_nodes": gettext_lazy("it has too many operators"),
    "too_many_tensors": gettext_lazy("it has too many tensors"),
    "runtime": gettext_lazy("ONNX Runtime can't load it"),
    # Kinds of files; those that have a name of their own go by it
    "git_lfs_pointer": gettext_lazy("a Git LFS pointer in the place of the file"),
    "picture": gettext_lazy("a picture"),
    "program": gettext_lazy("a program"),
    "state_dict": gettext_lazy("a state dict of PyTorch"),
    "text": gettext_lazy("text"),
    "unknown": gettext_lazy("something unknown"),
}


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _shown(name: str, fact: Any) -> str:
    if name in {"reason", "kind"} or fact == "state_dict":
        return str(_WORDS.get(fact, fact))
    if name.endswith("_bytes") and isinstance(fact, int):
        return str(filesizeformat(fact))
    if not isinstance(fact, list | tuple):
        return str(fact)
    if any(isinstance(part, int) for part in fact):  # a shape; None is a side of any length
        return " \N{MULTIPLICATION SIGN} ".join(
            _("any") if part is None else str(part) for part in fact
        )
    return ", ".join(str(part) for part in fact) or _("none")


@dataclass(frozen=True)
class Failure:
    code: str
    facts: Mapping[str, Any]

    @property
    def detail(self) -> str:
        """One sentence in the reader's language."""
        special = _SPECIAL.get((self.code, str(self.facts.get("problem"))))
        text = str(special or _TEXTS.get(self.code, _TEXTS["refused"]))
        shown = _Facts({name: _shown(name, fact) for name, fact in self.facts.items()})
        return text.format_map(shown)

    @property
    def cause(self) -> str:
        """What probably lies behind it, as a hint; may be empty."""
        return cause_of(self.code, self.facts)

    @property
    def example(self) -> str:
        """Lines of Python that make a file which is accepted, where that is the way out."""
        return EXPORT if self.code in _MENDED_BY_EXPORT else ""

    @property
    def more(self) -> dict[str, str]:
        """What helps beyond the sentence, where there is anything."""
        known = {"cause": self.cause, "example": self.example}
        return {name: text for name, text in known.items() if text}

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "detail": self.detail, **self.more}
