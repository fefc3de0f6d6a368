"""Files in S3 or what speaks like it, where ``AWS_STORAGE_BUCKET_NAME`` names a bucket.

What goes wrong comes out as ``OSError``, as from a folder: nobody else has to know where files are.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends.s3 import S3File, S3Storage

PART_BYTES = 8 << 20
FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "EntityTooLarge"}


@contextmanager
def as_from_a_folder(name: str = "") -> Iterator[None]:
    """Turn what the client raises into what a folder would.

    Raises:
        OSError: with ENOSPC where there is no room.
        FileNotFoundError: there is no such object.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name) from error
        if code in {"404", "NoSuchKey"}:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from error
        raise OSError(errno.EIO, f"the object storage answered: {code}", name) from error
    except (BotoCoreError, Boto3Error) as error:
        raise OSError(errno.EIO, f"the object storage: {error}", name) from error


class StoredObject(S3File):
    def _get_file(self) -> Any:
        with as_from_a_folder(self.name):
            return super()._get_file()

    file = property(_get_file, S3File._set_file)


class ObjectStorage(S3Storage):
    """Objects of a bucket; large ones in parts, one after the other, so that memory stays small."""

    def get_default_settings(self) -> dict[str, Any]:
        usual: dict[str, Any] = super().get_default_settings()
        return usual | {
            "file_overwrite": False,
            "querystring_auth": True,
            # Beyond a megabyte to the disk: what is read is up to a checkpoint.
            "max_memory_size": 1 << 20,
            "transfer_config": TransferConfig(
                multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
            ),
        }

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.client_config = Config(
            s3={"addressing_style": self.addressing_style},
            signature_version=self.signature_version,
            connect_timeout=5,
            read_timeout=60,
            retries={"total_max_attempts": 3, "mode": "standard"},
            # Others than Amazon know no other checksums than the old ones.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        with as_from_a_folder(name):
            found: File[Any] = StoredObject(self._normalize_name(name), mode, self)
            return found

    def _save(self, name: str, content: File[Any]) -> str:
        with as_from_a_folder(name):
            saved: str = super()._save(name, content)
            return saved

    def delete(self, name: str) -> None:
        with as_from_a_folder(name):
            super().delete(name)

    def exists(self, name: str) -> bool:
        with as_from_a_folder(name):
            return bool(super().exists(name))

    def size(self, name: str) -> int:
        with as_from_a_folder(name):
            return int(super().size(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with as_from_a_folder(name):
            found: tuple[list[str], list[str]] = super().listdir(name)
            return found

    def make_bucket(self) -> bool:
        """Make the bucket if it is not there; return whether it was made."""
        client = self.connection.meta.client
        try:
            with as_from_a_folder():
                client.head_bucket(Bucket=self.bucket_name)
        except FileNotFoundError:
            where = client.meta.region_name
            elsewhere = where and where != "us-east-1"  # which may not be named
            options = {"CreateBucketConfiguration": {"LocationConstraint": where}}
            with as_from_a_folder():
                client.create_bucket(Bucket=self.bucket_name, **(options if elsewhere else {}))
            return True
        return False

    def remove_broken_parts(self, *, begun_before: datetime) -> int:
        """Remove parts of objects that were never completed: their writer was killed."""
        client = self.connection.meta.client
        removed = 0
        with as_from_a_folder():
            pages = client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.bucket_name, Prefix=self.location):
                for each in page.get("Uploads", ()):
                    if each["Initiated"] < begun_before:
                        client.abort_multipart_upload(
                            Bucket=self.bucket_name, Key=each["Key"], UploadId=each["UploadId"]
                        )
                        removed += 1
        return removed
