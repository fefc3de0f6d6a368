"""A trigger that lets a submission go from one state to another by the table only.

The services see to that already; this holds for whatever else writes into the database, too. It is
made anew after every migration, for SQLite loses it where Django remakes the table.
"""

from typing import Any

from django.db import connections

from submissions.states import lawful_moves

NAME = "submission_moves_lawfully"
TABLE = "submissions_submission"
_MOVES = ", ".join(f"'{source}>{target}'" for source, target in sorted(lawful_moves()))
_PROBLEM = "submission_moves_lawfully: no way from one state to the other"
_POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{_PROBLEM}' USING ERRCODE = 'check_violation';
END $$;
DROP TRIGGER IF EXISTS {NAME} ON {TABLE};
CREATE TRIGGER {NAME} BEFORE UPDATE OF status ON {TABLE} FOR EACH ROW
WHEN (OLD.status <> NEW.status AND (OLD.status || '>' || NEW.status) NOT IN ({_MOVES}))
EXECUTE FUNCTION {NAME}()
"""
_SQLITE = f"""
CREATE TRIGGER {NAME} BEFORE UPDATE OF status ON {TABLE} FOR EACH ROW
WHEN OLD.status <> NEW.status AND (OLD.status || '>' || NEW.status) NOT IN ({_MOVES})
BEGIN SELECT RAISE(ABORT, '{_PROBLEM}'); END
"""


def enforce(using: str, **_kwargs: Any) -> None:
    """Make the trigger, by the table as it is in this version."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            return  # migrated to before there were submissions
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL)
        else:
            cursor.execute(f"DROP TRIGGER IF EXISTS {NAME}")
            cursor.execute(_SQLITE)
