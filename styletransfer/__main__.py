"""The command line: ``python -m styletransfer``, installed as ``stylearena``."""

import sys


def run() -> None:
    """Run the command line and leave with its exit code."""
    try:
        # Loading torch takes seconds, in which somebody may press Ctrl-C.
        from styletransfer.commands.main import main

        code = main()
    except KeyboardInterrupt:
        code = 130  # as shells have it: 128 and the signal's number
    sys.exit(code)


if __name__ == "__main__":
    run()
