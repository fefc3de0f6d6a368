"""Run a checked ONNX graph in onnxruntime, on one thread and without side effects."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# The wheel otherwise writes a device id and a database to disk and tries to send them away; it
# reads this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from styletransfer.errors import CheckpointRejected
from styletransfer.inference import FileSize, Floats
from styletransfer.manifest import Manifest
from styletransfer.memory_need import MemoryNeed
from styletransfer.onnx_file import CheckedOnnx
from styletransfer.safetensors_file import shorten

MESSAGE_LENGTH = 300
_FATAL_ONLY = 4
_OUT_OF_MEMORY = (
    "allocate memory",
    "bad_alloc",
    "not enough memory",
    "out of memory",
    "tensor would require more than",  # a limit of onnxruntime's own
)


@dataclass(frozen=True)
class OnnxGenerator:
    """A network that an ONNX file describes; see `styletransfer.inference.Generator`."""

    manifest: Manifest
    parameters_count: int
    fixed_sizes: Mapping[str, FileSize]
    session: Any
    output: str
    memory_need: MemoryNeed | None = None
    size_multiple: int = 1

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.manifest.roles()

    def run(self, images: Mapping[str, Floats]) -> Floats:
        feeds = {image.name: images[image.role] for image in self.manifest.inputs}
        try:
            (output,) = self.session.run([self.output], feeds)
        except Exception as error:
            raise explain_crash(error) from error
        if not isinstance(output, np.ndarray) or output.dtype != np.float32:
            found = str(getattr(output, "dtype", type(output).__name__))
            raise CheckpointRejected(
                "wrong_dtype",
                problem="picture",
                key=shorten(self.output),
                expected="float32",
                found=found,
            )
        return output


def open_onnx(checked: CheckedOnnx, manifest: Manifest) -> OnnxGenerator:
    """Start a session on a checked model.

    Raises:
        CheckpointRejected: onnx_refused if the runtime can't make a network of it.
    """
    try:
        session = onnxruntime.InferenceSession(
            checked.model, _make_options(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise CheckpointRejected("out_of_memory") from error
        raise CheckpointRejected(
            "onnx_refused", reason="runtime", message=shorten_message(error)
        ) from error
    return OnnxGenerator(
        manifest=manifest,
        parameters_count=checked.parameters_count,
        fixed_sizes=checked.fixed_sizes,
        session=session,
        output=checked.output,
        memory_need=checked.memory_need,
    )


def explain_crash(error: Exception) -> CheckpointRejected:
    """Turn a runtime's exception into a refusal."""
    if is_out_of_memory(error):
        return CheckpointRejected("out_of_memory")
    return CheckpointRejected("generator_crashed", message=shorten_message(error))


def is_out_of_memory(error: Exception) -> bool:
    """Tell by its text whether an exception of torch or onnxruntime is about memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY)


def shorten_message(error: Exception) -> str:
    """Cut a message, which may quote names out of the file, to something fit for a log."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else "?" for c in text[:MESSAGE_LENGTH])


def _make_options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    # Its warnings quote names out of the file, to a stream nobody reads.
    options.log_severity_level = _FATAL_ONLY
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options
