"""Copies of a database in use, and putting one back: SQLite's own way, and PostgreSQL's tools."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from django.db import connection
from psycopg2.extensions import make_dsn

INSTALLED = Path("/usr/lib/postgresql")  # Debian keeps one folder for each version here

# A trigger goes with its table, the function that it calls does not.
_OWN_FUNCTIONS = """
SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND prokind = 'f'
AND oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
"""


class CopyFailed(Exception):
    """The database could not be copied or put back; says why."""


def dump(target: Path) -> None:
    """Write the state of this moment to ``target``, while everything goes on."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(str(connection.settings_dict["NAME"]))) as source:
            _copy_sqlite(source, target)
    else:
        _run_tool("pg_dump", ["--format=custom", "--no-owner", "--file", str(target)])


def load(source: Path) -> None:
    """Replace everything in the database by what ``dump`` wrote; all of it, or nothing."""
    connection.close()
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(source)) as copy:
            _copy_sqlite(copy, Path(connection.settings_dict["NAME"]))
        return
    script = source.with_suffix(".sql")
    _run_tool(
        "pg_restore", ["--no-owner", "--no-privileges", "--file", str(script), str(source)],
        connects=False,
    )  # fmt: skip
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        cursor.execute(_OWN_FUNCTIONS)
        functions = [signature for (signature,) in cursor.fetchall()]
    connection.close()
    removal = source.with_suffix(".removal.sql")
    quoted = [f'DROP TABLE IF EXISTS "{name}" CASCADE;' for name in tables]
    quoted += [f"DROP FUNCTION IF EXISTS {signature} CASCADE;" for signature in functions]
    removal.write_text("\n".join(quoted))
    _run_tool(
        "psql",
        [
            *("--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1"),
            *(f"--file={removal}", f"--file={script}"),
        ],
    )


def _copy_sqlite(source: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:
        try:
            source.backup(copy)
        except sqlite3.Error as error:
            raise CopyFailed(str(error)) from error


def _run_tool(name: str, arguments: Sequence[str], *, connects: bool = True) -> None:
    command, environment = [str(_find(name)), *arguments], dict(os.environ)
    if connects:
        address, password = _address()
        command.append(f"--dbname={address}")
        if password:  # a command line can be read by everybody on the machine
            environment["PGPASSWORD"] = password
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise CopyFailed(f"{name}: {done.stderr.strip()[-600:]}")


def _address() -> tuple[str, str]:
    """Return what Django connects to, as the tools take it, and the password apart."""
    given = {
        name: value
        for name, value in connection.get_connection_params().items()
        if isinstance(value, str | int)
    }
    password = str(given.pop("password", ""))
    return make_dsn(**given), password


def _find(name: str) -> Path:
    """Return the newest version of a tool: one older than the server refuses to dump it."""
    versions = [path for path in INSTALLED.glob(f"*/bin/{name}") if re.match(r"\d+$", _of(path))]
    if versions:
        return max(versions, key=lambda path: int(_of(path)))
    if found := shutil.which(name):
        return Path(found)
    raise CopyFailed(f"{name} is not installed: apt install postgresql-client")


def _of(tool: Path) -> str:
    return tool.parents[1].name
