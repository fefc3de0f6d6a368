"""State dicts whose container or tensors are not what they say, and honest ones."""

from __future__ import annotations

import collections
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from tests.hostile.case import ACCEPTED, Case
from tests.hostile.pickle_cases import BROKEN, OBJECTS, REFUSED, case, rezipped, saved, weights


def _storages() -> Iterator[Case]:
    """Yield tensors that are more than their file."""
    huge = torch.zeros(1).expand(50_000_000_000)
    yield case("a view of 200 GB on one number", saved({"w": huge}), BROKEN, "tensor_size")
    wide = {f"w{i}": torch.zeros(1).expand(1 << 20) for i in range(4)}
    yield case("views of 4 MB on one number", saved(wide), BROKEN, "tensor_size")
    honest = saved(weights())
    yield case("a storage that is missing", rezipped(honest, _without_a_storage), BROKEN)
    yield case("a storage that is shorter", rezipped(honest, _shorter), BROKEN)
    bomb = saved({"w": torch.zeros(20 << 20)})
    yield case(
        "packed, unpacking to 80 MB",
        rezipped(bomb, lambda files: None, packed=True),
        BROKEN,
        "zip_entries",
    )
    yield case("an entry twice", _twice(honest), BROKEN, "zip_entries")
    yield case(
        "an entry that climbs out",
        rezipped(honest, lambda files: files.update({"../../x": b"x"})),
        BROKEN,
    )
    secret = bytearray(honest)
    secret[honest.rfind(b"PK\x01\x02") + 8] |= 1
    yield case("an encrypted entry", bytes(secret), BROKEN, "zip_entries")
    yield case("a size of 2^63 in an entry", _lying(honest), BROKEN)
    for protocol in (4, 5):
        for form, legacy in (("zip", False), ("legacy", True)):
            data = saved(weights(), legacy=legacy, protocol=protocol)
            name = f"honest but of protocol {protocol}, {form}"
            yield case(name, data, REFUSED, "pickle_protocol")
    sparse = {"w": torch.eye(3).to_sparse()}
    yield case("a sparse tensor", saved(sparse), "wrong_dtype")
    quantised = {"w": torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)}
    yield case("a quantised tensor", saved(quantised), "wrong_dtype")
    yield case(
        "complex numbers", saved({"w": torch.zeros(2, dtype=torch.complex64)}), "wrong_dtype"
    )
    pieces = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    yield case("a nested tensor", saved({"w": pieces}), "wrong_dtype")
    yield case("rows of a sparse tensor", saved({"w": torch.eye(3).to_sparse_csr()}), "wrong_dtype")
    eighth = torch.zeros(2).to(torch.float8_e4m3fn)
    yield case("8-bit floats", saved({"w": eighth}), "wrong_dtype")
    for name, layout in _LAYOUTS.items():
        yield case(f"a tensor of {name}", saved({"w": _Rebuilt(*layout)}), BROKEN)
    meta = {"w": torch.zeros(2, device="meta")}
    yield case("a tensor of no device", saved(meta), "wrong_dtype")
    for part in (10, 100, len(honest) // 2, len(honest) - 30):
        yield case(f"cut after {part} bytes", honest[:part], BROKEN if part > 10 else REFUSED)
    old = saved(weights(), legacy=True)
    for part in (100, len(old) // 2, len(old) - 9):
        yield case(f"legacy, cut after {part} bytes", old[:part], BROKEN)
    lying = bytearray(old)
    lying[-4:] = b"\xff" * 4
    yield case("legacy, NaN for the last weight", bytes(lying), "non_finite_weights")


class _Rebuilt:
    """Pickles as a tensor that lies anywhere in its storage."""

    def __init__(self, offset: object, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        with warnings.catch_warnings(action="ignore"):
            storage = torch.zeros(100).storage()  # type: ignore[no-untyped-call]
            self.arguments = (storage, offset, size, stride)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        hooks: collections.OrderedDict[str, object] = collections.OrderedDict()
        return torch._utils._rebuild_tensor_v2, (*self.arguments, False, hooks)


_LAYOUTS: dict[str, tuple[object, tuple[int, ...], tuple[int, ...]]] = {
    "an offset behind its storage": (1_000, (2,), (1,)),
    "an offset before it": (-1, (2,), (1,)),
    "an offset of 2^63 - 1": (2**63 - 1, (2,), (1,)),
    "an offset of 2^70": (2**70, (2,), (1,)),
    "an offset between numbers": (0.5, (2,), (1,)),
    "a negative side": (0, (-2,), (1,)),
    "a negative stride": (0, (2,), (-1,)),
    "a side of 2^40": (0, (1 << 40,), (1,)),
    "sides that overflow": (0, (1 << 62, 4), (0, 0)),
    "seventy sides": (0, (2,) * 70, (1,) * 70),
}


def _lying(data: bytes) -> bytes:
    """Say in the table of a zip that an entry is 2^32 - 2 bytes long."""
    made = bytearray(data)
    place = data.rfind(b"PK\x01\x02") + 24
    made[place : place + 4] = (2**32 - 2).to_bytes(4, "little")
    return bytes(made)


def _without_a_storage(files: dict[str, bytes]) -> None:
    del files[next(name for name in files if "/data/" in name)]


def _shorter(files: dict[str, bytes]) -> None:
    name = next(name for name in files if "/data/" in name)
    files[name] = files[name][:4]


def _twice(data: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        name = archive.namelist()[0]
        content = archive.read(name)
        archive.fp.seek(0, os.SEEK_END)  # type: ignore[union-attr]
        archive.NameToInfo.clear()
        archive.writestr(name, content)
    return buffer.getvalue()


def _contents() -> Iterator[Case]:
    """Yield honest containers around what is no generator of ours."""
    yield case("nothing in it", saved({}), "no_weights")
    yield case("a number", saved(7), "no_weights")
    yield case("a list of tensors", saved([torch.zeros(3)]), "no_weights")
    two = {"first": weights(), "second": weights()}
    yield case("two networks", saved(two), "several_networks")
    yield case("another network", saved({"model.0.weight": torch.zeros(3, 3)}), "wrong_keys")
    many = {f"k{i}": torch.zeros(1) for i in range(5_001)}
    yield case("5,001 tensors", saved(many), "too_many_parameters", "tensors")
    wrong = weights()
    wrong[next(iter(wrong))][:] = float("nan")
    yield case("NaN weights", saved(wrong), "non_finite_weights")
    arrays = {key: each.numpy() for key, each in weights().items()}
    yield case("arrays of NumPy", saved(arrays), OBJECTS)
    yield case("a path", saved({"w": torch.zeros(1), "from": Path("/etc")}), OBJECTS)
    yield case("a tensor alone", saved(torch.zeros(3)), "no_weights")
    yield case("keys that are numbers", saved({1: torch.zeros(3)}), "no_weights")
    deep: object = weights()
    for _ in range(50):
        deep = {"state_dict": deep}
    yield case("weights 50 levels deep", saved(deep), "no_weights")
    names = {"\x00\x1b[2J\u202e" + "x" * 4_000: torch.zeros(1)}
    yield case("a key of control characters", saved(names), "wrong_keys")


def _honest() -> Iterator[Case]:
    for form, legacy in (("zip", False), ("legacy", True)):
        yield case(f"honest, {form}", saved(weights(), legacy=legacy), ACCEPTED)
    yield case("honest, 16 bits", saved(weights(torch.float16)), ACCEPTED)
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": each for key, each in weights().items()}}
    yield case("honest, as a training script keeps it", saved(wrapped), ACCEPTED)
    kept = {key: torch.nn.Parameter(each) for key, each in weights().items()}
    yield case("honest, parameters", saved(kept), ACCEPTED)
    turned = {key: each.flip(0).contiguous().flip(0) for key, each in weights().items()}
    turned = {
        key: each.transpose(0, -1).contiguous().transpose(0, -1) for key, each in turned.items()
    }
    yield case("honest, stored the other way round", saved(turned), ACCEPTED)
    both = {"model": weights(), "optimizer": torch.optim.Adam([torch.zeros(2)]).state_dict()}
    yield case("honest, with its optimiser", saved(both), ACCEPTED)
    extras = {"state_dict": weights(), "device": torch.device("cuda:7"), "seen": {1, 2}}
    yield case("honest, with a device and a set", saved(extras), ACCEPTED)
    yield case("honest, protocol 3", saved(weights(), protocol=3), ACCEPTED)
    yield case("honest, something behind", saved(weights()) + b"x" * 1_000, ACCEPTED)
    ordered = collections.OrderedDict(weights())
    yield case("honest, ordered", saved(ordered), ACCEPTED)


def cases() -> list[Case]:
    """Return the whole family."""
    return [*_storages(), *_contents(), *_honest()]
