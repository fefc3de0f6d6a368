"""Score some pairs in a process of its own and print the card: ``SIDE PAIRS THREADS FOLDER``."""

import hashlib
import json
import sys
from pathlib import Path

from scripts.bench import scorer
from scripts.bench.process_memory import peak_mib
from styletransfer.determinism import make_deterministic


def main() -> None:
    """Score and print."""
    side, pairs, threads = map(int, sys.argv[1:4])
    make_deterministic(threads)
    outputs = scorer.read_outputs(Path(sys.argv[4]))
    made = scorer.make_scorer(pairs, side)
    card = made.score(outputs, checkpoint_sha256=hashlib.sha256(b"bench").hexdigest())
    print(json.dumps(card.to_json() | {"peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
