from competitions.models.announcement import Announcement
from competitions.models.banner import Banner
from competitions.models.competition import Competition
from competitions.models.leaderboard import LeaderboardEntry
from competitions.models.mail import MailKind, MailRefusal, OutgoingMail
from competitions.models.phase import Phase
from competitions.models.preparation import Preparation, PreparationKind, PreparationStatus
from competitions.models.recipe import ScoringRecipe
from competitions.models.reference_set import (
    ImageRole,
    Pair,
    Pairing,
    ReferenceImage,
    ReferenceSet,
)
from competitions.models.team import Invitation, Participant, Team

__all__ = [
    "Announcement",
    "Banner",
    "Competition",
    "ImageRole",
    "Invitation",
    "LeaderboardEntry",
    "MailKind",
    "MailRefusal",
    "OutgoingMail",
    "Pair",
    "Pairing",
    "Participant",
    "Phase",
    "Preparation",
    "PreparationKind",
    "PreparationStatus",
    "ReferenceImage",
    "ReferenceSet",
    "ScoringRecipe",
    "Team",
]
