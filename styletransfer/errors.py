"""What can go wrong in the core, in words that say what to do next."""

from collections.abc import Mapping

# English only: whoever shows a refusal to a participant translates it by its code. These sentences
# are for logs and for the command line.
REFUSALS: Mapping[str, str] = {
    "empty_file": "The file is empty.",
    "not_a_checkpoint": "The file is not a checkpoint of a format we know.",
    "corrupt_file": "The checkpoint is damaged or incomplete.",
    "format_mismatch": "The file's content does not match the format its manifest names.",
    "format_refused": "This format is not accepted; export to safetensors or ONNX.",
    "pickled_objects": "The file holds other objects than tensors; save only the state dict.",
    "no_weights": "No weights of a network were found in the file.",
    "several_networks": "The file holds several networks; save the generator's alone.",
    "unknown_architecture": "We do not know this architecture; export the generator to ONNX.",
    "wrong_keys": "The weights' names are not those of the architecture.",
    "wrong_shapes": "A weight's shape is not the architecture's.",
    "wrong_dtype": "A weight's number format is not accepted.",
    "non_finite_weights": "The checkpoint contains NaN or infinite weights.",
    "too_many_parameters": "The generator has more parameters than allowed.",
    "unsupported_operator": "The ONNX graph uses an operator that is not allowed.",
    "external_data": "The ONNX file keeps weights outside itself; export it as a single file.",
    "onnx_refused": "The ONNX graph is not accepted.",
    "wrong_inputs": "The generator's inputs are not those its manifest names.",
    "wrong_size": "The generator works at another image size than this phase.",
    "output_shape": "The generator's output has the wrong shape.",
    "non_finite_output": "The generator produced NaN or infinite pixels.",
    "too_much_memory": "The generator can't run in the memory that is allowed.",
    "too_slow": "The generator took longer than allowed.",
    "out_of_memory": "The generator needed more memory than allowed.",
    "generator_crashed": "The generator stopped with an error.",
}


class StyleTransferError(Exception):
    """Base of every error this package raises on purpose."""


class CheckpointRejected(StyleTransferError):
    """Say why an uploaded file can't be used as a generator; the participant can mend it.

    Attributes:
        code: one of ``REFUSALS``, stable.
        facts: what was found and what was expected, as plain JSON values.
    """

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts

    def __str__(self) -> str:
        sentence = REFUSALS.get(self.code, f"The checkpoint was refused ({self.code}).")
        details = [
            f"{name}: {_list(value)}" for name, value in self.facts.items() if name != "problem"
        ]
        return f"{sentence} ({', '.join(details)})" if details else sentence

    def __reduce__(self) -> tuple[object, ...]:
        # An exception pickles its positional arguments only, and this one crosses processes.
        return _rebuild_rejection, (self.code, self.facts)


def _list(value: object) -> object:
    return " ".join(str(part) for part in value) if isinstance(value, list) else value


def _rebuild_rejection(code: str, facts: dict[str, object]) -> CheckpointRejected:
    return CheckpointRejected(code, **facts)


class InvalidRecipe(StyleTransferError, ValueError):
    """A scoring recipe contradicts itself; its organizer has to change it."""


class InvalidScoreCard(StyleTransferError, ValueError):
    """Something is no score card, or one that was changed after it was made."""


class InvalidShard(StyleTransferError, ValueError):
    """Something is not what a worker measured of some pairs, or shards don't make up a whole."""


class MetricInputError(StyleTransferError, ValueError):
    """A metric was asked for something that has no answer."""


class NonFiniteInput(MetricInputError):
    """NaN or infinity went in or came out: there is no score."""


class ShapeMismatch(MetricInputError):
    """Things that are compared differ in number or shape."""


class TooFewSamples(MetricInputError):
    """A covariance or a distance of sets needs at least two samples in each."""


class DegenerateAnchor(MetricInputError):
    """A baseline that relative scores divide by is zero: a pair's two images are alike."""


class DeviceUnavailable(StyleTransferError):
    """The device that scores are to be made on is not there."""


class WeightsUnavailable(StyleTransferError):
    """Pretrained weights are neither in the cache nor to be had from their address."""


class WeightsMismatch(StyleTransferError):
    """Weights are not the ones whose hash was pinned or published."""
