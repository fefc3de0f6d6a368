"""Read a pickle's program without running it: which names outside of it does it ask for?

Only to say why a file was refused; whether it is safe is not for this to judge.
"""

import encodings.raw_unicode_escape  # noqa: F401 - of old pickles; later nothing can be imported
import io
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass

# A program of a state dict has about ten steps for each tensor.
_MOST_STEPS = 1_000_000
_LEGACY_PARTS = 5
# How pickletools says that there is not enough.
_BREAKS_OFF = ("exhausted", "not enough data", "expected", "no newline")
_EXTENSIONS = ("EXT1", "EXT2", "EXT4")


@dataclass(frozen=True)
class Program:
    """What a pickle's program is made of.

    Attributes:
        names: of all functions and classes that it asks for, in their order.
        is_whole: it reads to its end.
        is_cut: it breaks off before that.
        protocol: the highest that it says it is written in.
    """

    names: tuple[str, ...]
    is_whole: bool
    is_cut: bool
    protocol: int


def read_program(data: bytes, *, parts: int = 1) -> Program:
    """Read some pickles in a row, as far as they can be read."""
    steps = _steps(io.BytesIO(data), parts)
    reader = _Reader()
    is_whole = is_cut = False
    try:
        for _ in range(_MOST_STEPS):
            reader.take(*next(steps))
    except StopIteration:
        is_whole = True
    except Exception as error:  # noqa: BLE001 - a damaged one: what it asked for before counts
        is_cut = any(words in str(error) for words in _BREAKS_OFF)
    return Program(tuple(reader.names), is_whole, is_cut, reader.protocol)


class _Reader:
    """Follows the texts that names are put together from, and nothing else."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.protocol = 0
        self._texts: list[str] = []
        self._memo: dict[int, str] = {}

    def take(self, step: str, argument: object) -> None:
        if step == "PROTO" and isinstance(argument, int):
            self.protocol = max(self.protocol, argument)
        elif step in ("GLOBAL", "INST"):
            self.names.append(".".join(str(argument).split(" ", 1)))
        elif step == "STACK_GLOBAL":
            self.names.append(".".join(self._texts))
        elif step in _EXTENSIONS:
            self.names.append(f"extension {argument}")
        else:
            self._follow_text(step, argument)

    def _follow_text(self, step: str, argument: object) -> None:
        if step == "MEMOIZE":
            self._memo[len(self._memo)] = self._texts[-1] if self._texts else ""
        elif step in ("BINGET", "LONG_BINGET") and isinstance(argument, int):
            self._texts = [*self._texts[-1:], self._memo.get(argument, "?")]
        elif "UNICODE" in step or "STRING" in step:
            self._texts = [*self._texts[-1:], str(argument)]


def read_legacy(data: bytes) -> Program:
    """Read the pickles that a file of `torch.save` in its older form begins with."""
    return read_program(data, parts=_LEGACY_PARTS)


def _steps(file: io.BytesIO, parts: int) -> Iterator[tuple[str, object]]:
    for _ in range(parts):
        for instruction, argument, _place in pickletools.genops(file):
            yield instruction.name, argument
