from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Fill in the demo competition and submit its baselines; makes only what is missing."

    def handle(self, *args: Any, **options: Any) -> None:
        # Only this command needs the demo's packages: loaded here, not with every command.
        from evaluation.demo.seed import seed_demo

        accounts_file = settings.VAR_DIR / "demo-accounts"
        competition = seed_demo(accounts_file)
        self.stdout.write(f"Demo competition: {competition.get_absolute_url()}")
        self.stdout.write(f"Log in as one of the accounts in {accounts_file}")
