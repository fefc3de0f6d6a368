# For narrow columns of tables.
SHORT_DATE_FORMAT = "Y/n/j"
SHORT_DATETIME_FORMAT = "Y/n/j H:i"
# Django groups by four digits with nothing between them; figures are written as 20,000,000.
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
