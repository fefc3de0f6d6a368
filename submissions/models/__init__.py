from submissions.models.submission import (
    Exclusion,
    Submission,
    SubmissionQuerySet,
    TeamQuota,
)
from submissions.models.upload import Piece, Upload, UploadQuerySet, UploadStatus

__all__ = [
    "Exclusion",
    "Piece",
    "Submission",
    "SubmissionQuerySet",
    "TeamQuota",
    "Upload",
    "UploadQuerySet",
    "UploadStatus",
]
