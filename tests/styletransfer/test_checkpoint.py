import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from styletransfer.checkpoint import load_generator
from styletransfer.errors import REFUSALS, CheckpointRejected
from styletransfer.generators import build
from styletransfer.inference import stylise
from styletransfer.manifest import Manifest

Weights = dict[str, torch.Tensor]
PIXELS = np.random.default_rng(3).integers(0, 256, (22, 30, 3), dtype=np.uint8)


def declare(architecture: str = "transformer_net", **parameters: int) -> Manifest:
    return Manifest(
        format="safetensors",
        architecture=architecture,
        parameters={"width": 2} | parameters,
        input_range="0..1",
        output_range="0..1",
    )


def make_weights(architecture: str = "transformer_net", **parameters: int) -> Weights:
    torch.manual_seed(7)
    return dict(build(architecture, {"width": 2} | parameters).state_dict())


def refusal(data: bytes | memoryview, manifest: Manifest | None = None) -> CheckpointRejected:
    with pytest.raises(CheckpointRejected) as caught:
        load_generator(data, manifest or declare())
    assert caught.value.code in REFUSALS
    json.dumps(caught.value.facts)
    return caught.value


def write(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(begin: int, end: int, dtype: str = "F32", shape: list[Any] | None = None) -> Any:
    shape = [(end - begin) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [("transformer_net", {}), ("resnet_generator", {"blocks": 6})],
)
def test_a_generator_computes_what_the_network_with_these_weights_computes(
    architecture: str, parameters: dict[str, int]
) -> None:
    weights = make_weights(architecture, **parameters)
    generator = load_generator(safetensors.torch.save(weights), declare(architecture, **parameters))
    network = build(architecture, {"width": 2} | parameters).eval()
    network.load_state_dict(weights)
    padded = np.pad(PIXELS, ((0, 2), (0, 2), (0, 0)), mode="reflect").astype(np.float32) / 255
    with torch.inference_mode():
        expected = network(torch.from_numpy(padded.transpose(2, 0, 1)[None]))[0, :, :22, :30]
    output = stylise(generator, PIXELS)
    np.testing.assert_allclose(output, 255 * expected.numpy().transpose(1, 2, 0), atol=1e-3)
    assert generator.inputs == ("content",)
    assert generator.parameters_count == sum(w.numel() for w in weights.values())


def test_a_generator_gives_the_same_picture_every_time() -> None:
    data = memoryview(safetensors.torch.save(make_weights()))
    first = stylise(load_generator(data, declare()), PIXELS)
    generator = load_generator(data, declare())
    stylise(generator, PIXELS[::-1])
    assert np.array_equal(stylise(generator, PIXELS), first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_weights_are_widened(dtype: torch.dtype) -> None:
    narrow = {key: value.to(dtype) for key, value in make_weights().items()}
    widened = {key: value.float() for key, value in narrow.items()}
    assert np.array_equal(
        stylise(load_generator(safetensors.torch.save(narrow), declare()), PIXELS),
        stylise(load_generator(safetensors.torch.save(widened), declare()), PIXELS),
    )


def test_stray_running_statistics_are_dropped_whatever_they_hold() -> None:
    weights = make_weights()
    strays = {
        "in1.running_mean": torch.full((2,), float("nan")),
        "res1.in2.running_var": torch.ones(8),
        "in1.num_batches_tracked": torch.tensor(5),
    }
    generator = load_generator(safetensors.torch.save(weights | strays), declare())
    assert generator.parameters_count == sum(w.numel() for w in weights.values())
    plain = load_generator(safetensors.torch.save(weights), declare())
    assert np.array_equal(stylise(generator, PIXELS), stylise(plain, PIXELS))


def test_missing_and_unexpected_keys_are_named() -> None:
    weights = make_weights()
    weights["module.conv1.conv2d.bias"] = weights.pop("conv1.conv2d.bias")
    error = refusal(safetensors.torch.save(weights))
    assert error.code == "wrong_keys"
    assert error.facts["missing"] == ["conv1.conv2d.bias"]
    assert error.facts["unexpected"] == ["module.conv1.conv2d.bias"]


def test_another_architecture_s_file_is_refused_by_its_keys() -> None:
    data = safetensors.torch.save(make_weights("resnet_generator", blocks=6))
    assert refusal(data, declare("resnet_generator", blocks=9)).code == "wrong_keys"
    assert refusal(data).facts["missing_count"] == 62


def test_another_width_is_refused_naming_both_shapes() -> None:
    error = refusal(safetensors.torch.save(make_weights(width=3)))
    assert error.code == "wrong_shapes"
    assert error.facts["expected"] != error.facts["found"]


@pytest.mark.parametrize(
    "dtype", [torch.int32, torch.float64, torch.int64, torch.bool, torch.float8_e4m3fn]
)
def test_weights_that_are_not_floats_of_16_or_32_bits_are_refused(dtype: torch.dtype) -> None:
    weights = make_weights()
    weights["in1.bias"] = weights["in1.bias"].to(dtype)
    error = refusal(safetensors.torch.save(weights))
    assert (error.code, error.facts["key"]) == ("wrong_dtype", "in1.bias")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinite_weights_are_refused(dtype: torch.dtype, value: float) -> None:
    weights = {key: tensor.to(dtype) for key, tensor in make_weights().items()}
    weights["deconv3.conv2d.bias"][2] = value
    error = refusal(safetensors.torch.save(weights))
    assert (error.code, error.facts["key"]) == ("non_finite_weights", "deconv3.conv2d.bias")


def test_the_largest_finite_weights_are_no_infinities() -> None:
    weights = {key: tensor.half() for key, tensor in make_weights().items()}
    weights["deconv3.conv2d.bias"][:] = 65504
    load_generator(safetensors.torch.save(weights), declare())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x10\0\0\0\0\0\0\0{", "truncated"),
        ((2**63).to_bytes(8, "little") + b"{}", "header_too_long"),
        ((2**64 - 1).to_bytes(8, "little") + b"{}" + b" " * 100, "header_too_long"),
        ((2**20 + 1).to_bytes(8, "little") + b"{" + b" " * (2**20), "header_too_long"),
        (write(b'{"a":'), "header_json"),
        (write(b"{}}"), "header_json"),
        (write(b"{" + b'"a":[' * 50_000), "header_json"),
        (write(b'{"a":' + b"9" * 100_000 + b"}"), "header_json"),
        (write(b'{"\xff\xfe": 1}'), "header_json"),
        (write(b'{"a": NaN}'), "header_json"),
        (write({"__metadata__": {"a": 1}}), "metadata"),
        (write({"__metadata__": "a"}), "metadata"),
        (write({"a": 5}), "entry"),
        (write({"a": {"dtype": "F32"}}), "entry"),
        (write({"a": entry(0, 4) | {"more": 1}}, b"0000"), "entry"),
        (write({"a": entry(0, 4, shape=[-1])}, b"0000"), "entry"),
        (write({"a": entry(0, 4, shape=[1.0])}, b"0000"), "entry"),
        (write({"a": entry(0, 4, shape=[True])}, b"0000"), "entry"),
        (write({"a": entry(0, 4, shape=[1] * 9)}, b"0000"), "entry"),
        (write({"a": entry(0, 4, shape=[2**63, 2**63])}, b"0000"), "entry"),
        (write({"a": entry(0, 4, shape=[2**62, 2**62])}, b"0000"), "tensor_size"),
        (write({"a": entry(4, 0, shape=[0])}, b"0000"), "tensor_size"),
        (write({"a": entry(0, 4), "b": entry(0, 4)}, b"0000"), "overlap"),
        (write({"a": entry(0, 8), "b": entry(4, 12)}, b"0" * 12), "overlap"),
        (write({"a": entry(0, 4), "b": entry(8, 12)}, b"0" * 12), "hole"),
        (write({"a": entry(4, 8)}, b"0" * 8), "hole"),
        (write({"a": entry(0, 400)}, b"0" * 8), "truncated"),
        (write({"a": entry(0, 4)}, b"0" * 8), "trailing_bytes"),
        (write(b'{"a":%s,"a":%s}' % ((json.dumps(entry(0, 4)).encode(),) * 2)), "duplicate_key"),
    ],
)
def test_a_damaged_or_hostile_header_is_refused(data: bytes, reason: str) -> None:
    error = refusal(data)
    assert (error.code, error.facts["reason"]) == ("corrupt_file", reason)


def test_a_file_cut_anywhere_is_refused() -> None:
    data = safetensors.torch.save(make_weights())
    header_end = 8 + int.from_bytes(data[:8], "little")
    for length in [9, 100, header_end - 1, header_end, header_end + 1, len(data) - 1]:
        assert refusal(data[:length]).facts["reason"] == "truncated", length


def test_any_flipped_byte_of_the_header_is_refused_or_harmless() -> None:
    data = safetensors.torch.save(make_weights())
    rng = np.random.default_rng(11)
    header_end = 8 + int.from_bytes(data[:8], "little")
    for position in rng.integers(0, header_end, 150):
        broken = bytearray(data)
        broken[position] ^= int(rng.integers(1, 256))
        # Any other exception fails the test.
        with suppress(CheckpointRejected):
            load_generator(bytes(broken), declare())


def test_a_header_of_twenty_thousand_keys_is_refused_at_once() -> None:
    table = {f"{i:x}": entry(0, 0, shape=[0]) for i in range(14_000)}
    started = time.perf_counter()
    error = refusal(write(table))
    assert error.code == "too_many_parameters"
    assert time.perf_counter() - started < 10


def test_keys_are_shown_without_control_characters() -> None:
    table = {"\x1b[31m" + "k" * 500: entry(0, 4), "\ud800": entry(4, 8)}
    shown = refusal(write(table, b"0" * 8)).facts["unexpected"]
    assert isinstance(shown, list)
    assert shown[0] == "?[31m" + "k" * 95
    assert all(key.encode("utf-8") for key in shown)


def test_a_file_of_another_format_than_declared_is_refused() -> None:
    onnx = Manifest(format="onnx", input_range="0..1", output_range="0..1")
    error = refusal(safetensors.torch.save(make_weights()), onnx)
    assert error.code == "format_mismatch"
    assert error.facts == {"expected": "onnx", "found": "safetensors"}


def run_python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_after_the_warm_up_nothing_is_opened_imported_or_executed() -> None:
    # What a seccomp filter will forbid in the sandbox; here every attempt is an exception.
    answer = run_python(
        """
import sys
import numpy as np
import safetensors.torch
from styletransfer import checkpoint, state_dict, warm_samples

dicts = [*warm_samples.state_dicts()]
samples = [*warm_samples.honest_samples(), *warm_samples.hostile_samples()]
checkpoint.warm_up()
attempts = []
def watch(event, arguments):
    if event in ("open", "import", "exec", "compile", "os.system", "subprocess.Popen"):
        attempts.append((event, str(arguments)[:200]))
sys.addaudithook(watch)
picture = np.zeros((40, 52, 3), dtype=np.uint8)
done = refused = 0
for data, manifest in samples:
    try:
        checkpoint.stylise(checkpoint.load_generator(data, manifest), picture, picture)
        done += 1
    except checkpoint.CheckpointRejected:
        refused += 1
for data in dicts:
    try:
        state_dict.convert(data, memoryview(bytearray(len(data) + state_dict.ENVELOPE_BYTES)))
        done += 1
    except checkpoint.CheckpointRejected:
        refused += 1
print(done, refused, attempts)
"""
    )
    assert answer.stdout.split(maxsplit=2)[2].strip() == "[]", answer.stdout + answer.stderr
    assert answer.stdout.startswith("18 19 ")
