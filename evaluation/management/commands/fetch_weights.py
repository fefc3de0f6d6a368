from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from styletransfer.errors import WeightsMismatch, WeightsUnavailable
from styletransfer.pretrained import ADDRESSES, extractor_pin


class Command(BaseCommand):
    help = "Fetch the published weights of VGG-19 and Inception, or check those that are there."

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ADDRESSES:
            try:
                pin = extractor_pin(name, weights_dir=settings.WEIGHTS_DIR)
            except (WeightsUnavailable, WeightsMismatch) as error:
                raise CommandError(str(error)) from error
            self.stdout.write(f"{pin.name}  {pin.sha256}")
