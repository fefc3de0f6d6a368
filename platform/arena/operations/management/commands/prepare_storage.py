from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Make the bucket for the files where it is not there yet; a folder needs nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        make_bucket = getattr(default_storage, "make_bucket", None)
        if make_bucket is None:
            return
        try:
            is_new = make_bucket()
        except OSError as error:
            raise CommandError(
                f"there is no bucket {default_storage.bucket_name!r} "  # type: ignore[attr-defined]
                f"that these keys may use, and none could be made: {error}"
            ) from error
        if is_new:
            self.stdout.write("made the bucket")
