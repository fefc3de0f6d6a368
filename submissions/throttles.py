"""What holds for every way of sending a file."""

from rest_framework.exceptions import APIException
from rest_framework.throttling import UserRateThrottle


class UploadThrottle(UserRateThrottle):
    scope = "upload"


class LengthRequired(APIException):
    status_code = 411
    default_code = "length_required"
