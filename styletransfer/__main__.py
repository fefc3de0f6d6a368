"""The command line: ``python -m styletransfer``, installed as ``stylearena``."""

import sys

# Any of them missing says that the package was installed as for a web server.
SCORING = {"torch", "torchvision", "scipy", "safetensors", "onnx", "onnxruntime", "pytorch_fid"}


def run() -> None:
    """Run the command line and leave with its exit code."""
    try:
        # Loading torch takes seconds, in which somebody may press Ctrl-C.
        from styletransfer.commands.main import main

        code = main()
    except ModuleNotFoundError as error:
        if error.name not in SCORING:
            raise
        print(
            f"stylearena: {error.name} is not installed. Run: pip install 'stylearena[scoring]'"
            " (in a clone: pip install '.[scoring]')",
            file=sys.stderr,
        )
        code = 1
    except KeyboardInterrupt:
        code = 130  # as shells have it: 128 and the signal's number
    sys.exit(code)


if __name__ == "__main__":
    run()
