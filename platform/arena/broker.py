"""The broker in a folder, with messages that are there in full or not at all."""

import logging
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """kombu writes a message under its final name, and a reader of half of one ends its worker."""

    # The stubs of kombu's two base classes name this parameter differently.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        draft = folder / f".{name}"  # readers pass over names that begin with a dot
        try:
            draft.write_text(dumps(payload))
            draft.rename(folder / name)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise ChannelError(f"can't store a message in {folder}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        while True:
            try:
                return super()._get(queue)
            except ValueError:  # gone from the folder already: the sweeper sends another
                log.warning("dropped a damaged message of queue %s", queue)


class Transport(filesystem.Transport):
    Channel = Channel
