from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from competitions.models import Phase
from evaluation.board import rebuild_boards


class Command(BaseCommand):
    help = "Make the boards anew from the scores; harmless at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("phases", nargs="*", type=int, help="numbers of phases; all if none")

    def handle(self, *args: Any, phases: list[int], **options: Any) -> None:
        chosen = Phase.objects.filter(pk__in=phases) if phases else Phase.objects.all()
        teams = rebuild_boards(chosen)
        self.stdout.write(f"{chosen.count()} boards with {teams} places of teams made anew")
