"""`manage.py train_baseline`: train the demo's generator and discriminator again."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _


class Command(BaseCommand):
    """Writes one_style.safetensors, discriminator.safetensors and calibration.json."""

    help = "Train the demo's generator and discriminator; write both and the recipes' weights."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--out",
            type=Path,
            default=Path(__file__).resolve().parents[2] / "demo" / "assets",
            help="folder to write to (default: the folder the demo reads)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Torch stays out of every other command.
        from evaluation.demo.calibration import FILE_NAME, calibrate_phases, to_json
        from evaluation.demo.train import judge, train_baseline
        from styletransfer.training.events import Event, Stepped, Warned

        def tell(event: Event) -> None:
            if isinstance(event, Stepped) and event.step % 50 == 0:
                self.stdout.write(
                    f"{event.step:5} content {event.content:.3f} style {event.style:.3f}"
                    f" adversarial {event.adversarial:.3f} discriminator {event.discriminator:.3f}"
                )
            elif isinstance(event, Warned):
                self.stdout.write(f"{event.step:5} {event.found}: {event.done}")

        trained = train_baseline([tell])
        folder: Path = options["out"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "one_style.safetensors").write_bytes(trained.generator_bytes())
        (folder / "discriminator.safetensors").write_bytes(trained.discriminator_bytes())
        weights = calibrate_phases(trained.discriminator_bytes())
        (folder / FILE_NAME).write_text(to_json(weights))
        report = judge(trained)
        self.stdout.write(
            f"content_relative {report.content_relative:.4f}"
            f" style_relative {report.style_relative:.4f} AUC {report.auc:.4f}"
        )
        for name, total in report.total.items():
            self.stdout.write(f"total {name}: {total:.4f}")
        self.stdout.write(_("Wrote three files to %(folder)s.") % {"folder": folder})
