"""A server that speaks S3, and pointing the site to it."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from pytest_django import Settings

from arena.lifetime import die_with_parent
from tests.deployment import free_port

BUCKET, KEY, SECRET, REGION = "arena", "key", "secret", "us-east-1"


@contextmanager
def private_object_storage() -> Iterator[str]:
    """Run a server and yield its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    try:
        wait_until_up(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def wait_until_up(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=2).close()
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)


def use_object_storage(settings: Settings, address: str) -> Any:
    """Use an empty bucket for all files; return it."""
    forget_everything(address)
    point_to(settings, address)
    found = default_storage.bucket  # type: ignore[attr-defined]
    found.create()
    return found


def forget_everything(address: str) -> None:
    request = urllib.request.Request(f"{address}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=10).close()


def point_to(settings: Settings, address: str) -> None:
    options = {
        "bucket_name": BUCKET,
        "endpoint_url": address,
        "access_key": KEY,
        "secret_key": SECRET,
        "region_name": REGION,
        "addressing_style": "path",
        "location": "site",
    }
    storage = {"BACKEND": "arena.object_storage.ObjectStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "default": storage}


def variables(address: str) -> dict[str, str]:
    """Return what a process of its own needs to use the same bucket."""
    return {
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
        "AWS_S3_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_S3_REGION_NAME": REGION,
        "AWS_S3_ADDRESSING_STYLE": "path",
    }
