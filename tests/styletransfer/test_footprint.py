"""What a program needs of memory, whatever started it needed."""

import subprocess
import sys

MIB = 2**20
PROGRAM = """
from styletransfer.footprint import Account, Footprint
footprint = Footprint()
first = footprint.added_bytes()
held = bytearray(b"x" * (64 << 20))
del held
print(Account().peak_bytes(), first, footprint.added_bytes())
"""


def measure() -> list[int]:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    return [int(number) for number in found.stdout.split()]


def test_what_was_added_counts_at_its_most() -> None:
    _, first, added = measure()
    assert first < 8 * MIB
    assert 64 * MIB <= added < 192 * MIB


def test_the_memory_of_whoever_started_a_program_is_not_its_own() -> None:
    held = bytearray(b"x" * (300 * MIB))
    peak, _, added = measure()
    assert peak < 250 * MIB
    assert added < 192 * MIB
    assert len(held) == 300 * MIB
