"""Messages in a folder: whole ones arrive, damaged ones do no harm."""

import resource
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError

import arena.celery  # noqa: F401 - names the transport


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "queue").mkdir()
    return tmp_path / "queue"


@pytest.fixture
def channel(folder: Path) -> Iterator[Any]:
    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder.parent / "control"),
    }
    with Connection("filesystem://localhost", transport_options=options) as connection:
        yield connection.default_channel


def test_a_damaged_message_is_dropped_and_the_next_is_read(channel: Any, folder: Path) -> None:
    (folder / "0_empty.evaluation.msg").touch()
    (folder / "1_half.evaluation.msg").write_text('{"body": "eyJ')
    channel._put("evaluation", {"body": "whole"})
    assert channel._get("evaluation") == {"body": "whole"}
    with pytest.raises(Empty):
        channel._get("evaluation")
    assert list(folder.iterdir()) == []


def test_a_message_that_can_not_be_written_leaves_nothing_to_read(
    channel: Any, folder: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))  # as if the disk were full
    try:
        with pytest.raises(ChannelError):
            channel._put("evaluation", {"body": "longer than ten bytes"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(folder.iterdir()) == []


def test_each_queue_has_its_own_messages(channel: Any) -> None:
    channel._put("checks", {"body": "check"})
    with pytest.raises(Empty):
        channel._get("evaluation")
    assert channel._size("checks") == 1
    assert channel._get("checks") == {"body": "check"}
