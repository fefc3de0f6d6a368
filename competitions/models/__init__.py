from competitions.models.competition import Competition
from competitions.models.leaderboard import LeaderboardEntry
from competitions.models.phase import Phase
from competitions.models.recipe import ScoringRecipe
from competitions.models.reference_set import ImageRole, Pair, ReferenceImage, ReferenceSet
from competitions.models.team import Participant, Team

__all__ = [
    "Competition",
    "ImageRole",
    "LeaderboardEntry",
    "Pair",
    "Participant",
    "Phase",
    "ReferenceImage",
    "ReferenceSet",
    "ScoringRecipe",
    "Team",
]
