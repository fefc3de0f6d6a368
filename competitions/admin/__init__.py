"""Where organizers set up and run their competitions; Django finds what is registered here."""

from competitions.admin import announcement, competition, phase, recipe, reference_set

__all__ = ["announcement", "competition", "phase", "recipe", "reference_set"]
