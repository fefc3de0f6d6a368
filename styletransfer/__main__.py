"""``python -m styletransfer``: score a generator at home as the platform does, compare cards."""

import sys

from styletransfer.commands.main import main

sys.exit(main())
