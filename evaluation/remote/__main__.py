"""``python -m evaluation.remote``: the command line where the package is not installed."""

from styletransfer.__main__ import run

run()
