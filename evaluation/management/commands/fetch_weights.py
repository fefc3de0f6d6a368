from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from styletransfer.download import sha256_file
from styletransfer.errors import WeightsMismatch, WeightsUnavailable
from styletransfer.pretrained import FILES, find_weights


class Command(BaseCommand):
    help = "Fetch the published weights of all feature networks, or check those that are there."

    def handle(self, *args: Any, **options: Any) -> None:
        for name in FILES:
            try:
                paths, pin = find_weights(name, weights_dir=settings.WEIGHTS_DIR)
            except (WeightsUnavailable, WeightsMismatch) as error:
                raise CommandError(str(error)) from error
            self.stdout.write(f"{pin.name}  {pin.sha256}")
            for path in paths:
                self.stdout.write(f"    {path.name}  {sha256_file(path)}")
