# People of all countries read the English pages: no "midnight", which may be either end of a
# day, no a.m. and p.m., no month that could be a day.
DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
SHORT_DATE_FORMAT = "j M Y"
SHORT_DATETIME_FORMAT = "j M Y, H:i"
