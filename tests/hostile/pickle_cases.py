"""Programs for pickle's machine in files of ``torch.save``, and what pretends to be one."""

from __future__ import annotations

import io
import os
import pickle
import socket
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from tests.hostile import safetensors_cases
from tests.hostile.case import WEIGHTS, Bait, Case, fixed

_MANIFEST = WEIGHTS | {"format": "state_dict"}
OBJECTS, BROKEN, REFUSED = "pickled_objects", "corrupt_file", "format_refused"
# Programs that read to their end and ask for what is no tensor.
_NAMED = (
    *("a global of a dotted name", "an instance of the old kind", "an object of the old kind"),
    *("an extension's code", "a state for os.environ"),
)
_MAGIC = 0x1950A86A20F9469CFC6C


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def weights(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return {
        key: torch.from_numpy(value).to(dtype) for key, value in safetensors_cases.weights().items()
    }


def saved(value: object, *, legacy: bool = False, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # of storages, and of quantised tensors
        torch.save(
            value,
            buffer,
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=not legacy,
        )
    return buffer.getvalue()


def rezipped(
    data: bytes, edit: Callable[[dict[str, bytes]], object], *, packed: bool = False
) -> bytes:
    """Take the zip of ``torch.save`` apart, change it, and put it together again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    edit(files)
    buffer = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _program(edit: Callable[[bytes], bytes]) -> bytes:
    """Replace the program of an honest file."""

    def change(files: dict[str, bytes]) -> None:
        name = next(name for name in files if name.endswith("/data.pkl"))
        files[name] = edit(files[name])

    return rezipped(saved(weights()), change)


def _legacy(*programs: bytes) -> bytes:
    """Write the older form, whose parts are pickles in a row."""
    head = [pickle.dumps(_MAGIC, 2), pickle.dumps(1001, 2), pickle.dumps({}, 2)]
    return b"".join([*head, *programs])


def case(
    name: str, data: bytes, code: str, reason: str | None = None, *, alone: bool = False
) -> Case:
    return Case(f"pickle: {name}", fixed(data), code, reason, manifest=_MANIFEST, alone=alone)


def _baited(name: str, make: Callable[[Bait], bytes], code: str) -> Case:
    return Case(f"pickle: {name}", make, code, manifest=_MANIFEST)


def _touch(bait: Bait) -> Calls:
    return Calls(os.system, f"touch {bait.mark}")


def _programs() -> Iterator[Case]:
    """Yield calls of what is no tensor, in every place that a file has."""
    for form, legacy in (("zip", False), ("legacy", True)):
        yield _baited(f"{form}: os.system", partial(_alone, legacy), OBJECTS)
        yield _baited(f"{form}: beside honest weights", partial(_beside, legacy), OBJECTS)
    calls: dict[str, Callable[[Bait], Calls]] = {
        "eval": lambda bait: Calls(eval, f"open({str(bait.mark)!r}, 'w')"),
        "exec": lambda bait: Calls(exec, "import os"),
        "open": lambda bait: Calls(open, str(bait.mark), "w"),
        "a connection": lambda bait: Calls(socket.create_connection, ("127.0.0.1", bait.port)),
        "torch.load": lambda bait: Calls(torch.load, str(bait.secret)),
        "torch.hub": lambda bait: Calls(torch.hub.load_state_dict_from_url, "http://127.0.0.1/"),
        "torch.from_file": lambda bait: Calls(torch.from_file, str(bait.secret), True, 16),
        "numpy.load": lambda bait: Calls(np.load, str(bait.secret), None, True),
        "numpy.fromfile": lambda bait: Calls(np.fromfile, str(bait.secret)),
        "os._exit": lambda bait: Calls(os._exit, 0),
        "os.kill": lambda bait: Calls(os.kill, 1, 9),
    }  # fmt: skip
    for name, make in calls.items():
        yield _baited(f"a call of {name}", partial(_called, make), OBJECTS)
    # A module can't be pickled; its name can.
    by_name = b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x01\x00\x00\x00a\x86R."
    yield case("a call of getattr", _program(lambda _: by_name), OBJECTS)
    yield case("a whole module", saved(torch.nn.Conv2d(3, 3, 1)), OBJECTS)
    yield _baited("legacy: in the head", lambda bait: pickle.dumps(_touch(bait), 2), REFUSED)
    yield _baited(
        "legacy: in the place of the system's data",
        lambda bait: (
            pickle.dumps(_MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps(_touch(bait), 2)
        ),
        OBJECTS,
    )
    yield _baited(
        "legacy: in the list of storages",
        lambda bait: _legacy(pickle.dumps({}, 2), pickle.dumps(_touch(bait), 2)),
        OBJECTS,
    )
    for protocol in range(6):
        code = "not_a_checkpoint" if protocol < 2 else REFUSED
        plain = partial(_plain, protocol)
        yield _baited(f"a plain pickle of protocol {protocol}", plain, code)


def _alone(legacy: bool, bait: Bait) -> bytes:
    return saved({"w": _touch(bait)}, legacy=legacy)


def _beside(legacy: bool, bait: Bait) -> bytes:
    return saved({**weights(), "extra": _touch(bait)}, legacy=legacy)


def _called(make: Callable[[Bait], Calls], bait: Bait) -> bytes:
    return saved({"w": make(bait)})


def _plain(protocol: int, bait: Bait) -> bytes:
    return pickle.dumps(_touch(bait), protocol)


def _machine() -> Iterator[Case]:
    """Yield programs that break the machine itself."""
    programs = {
        "nothing": b"",
        "the end alone": b".",
        "an empty stack": b"\x80\x020.",
        "an unknown instruction": b"\x80\x02\xff.",
        "no end": b"\x80\x02}q\x00",
        "a global of a dotted name": b"\x80\x04\x8c\x02os\x8c\x0bpath.system\x93.",
        "an instance of the old kind": b"(S'id'\nios\nsystem\n.",
        "an object of the old kind": b"(cos\nsystem\nS'id'\no.",
        "an extension's code": b"\x80\x02\x82\x01.",
        "a persistent id that is text": b"\x80\x02X\x01\x00\x00\x00aQ.",
        "a persistent id on a line": b"Pabc\n.",
        "a memo that was never set": b"\x80\x02h\xff.",
        "a state for os.environ": b"\x80\x02cos\nenviron\n}b.",
        "text of 2^32 bytes, it says": b"\x80\x02X\xff\xff\xff\xffabc.",
        "a number of 2^31 bytes, it says": b"\x80\x02\x8b\xff\xff\xff\x7fabc.",
        "a frame of 2^63 bytes, it says": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f.",
    }
    for name, program in programs.items():
        code = OBJECTS if name in _NAMED else BROKEN
        code = REFUSED if "a frame" in name else code
        yield case(f"program: {name}", _program(partial(_instead, program)), code)
    deep = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    yield case("program: lists 100,000 deep", _program(lambda _: deep), "no_weights", alone=True)
    memo = b"\x80\x02" + b"]q\x00" + b"".join(
        b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60)
    ) + b"."  # fmt: skip
    yield case(
        "program: a list of itself, 2^60 times", _program(lambda _: memo), "no_weights", alone=True
    )


def _instead(program: bytes, _: bytes) -> bytes:
    return program


def cases() -> list[Case]:
    """Return the whole family."""
    return [*_programs(), *_machine()]
