"""The command line: ``python -m styletransfer``."""
