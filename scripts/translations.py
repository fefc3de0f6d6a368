#!/usr/bin/env python3
"""Keep the translations complete: scripts/translations.py extract|compile|check.

``extract`` brings locale/*/LC_MESSAGES/django.po up to date with the texts in the code and the
templates; what is new there has no translation yet. ``check`` lists everything that would reach
a reader untranslated or damaged. ``compile`` makes what Django reads.
"""

import ast
import io
import re
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from babel.messages import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract, extract_python
from babel.messages.plurals import get_plural
from babel.messages.pofile import PoFileError, read_po, write_po
from django.utils.translation import TranslatorCommentWarning
from django.utils.translation.template import templatize

from arena.catalogues import DOMAIN, compile_stale

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "locale"
SOURCES = ("platform/arena", "competitions", "submissions", "evaluation", "templates", "locale")
COMMENT = "Translators:"
KEYWORDS: dict[str, Any] = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
# What a translation has to keep: %(name)s, %s, {name} and mark-up. A doubled % is a plain one.
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sdrf]|\{[^{}]*\}|\[\w+\]|</?[a-z][^>]*>")


def main() -> int:
    commands = {"extract": extract_all, "compile": compile_all, "check": check_all}
    command = commands.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if command is None:
        print("usage: scripts/translations.py extract|compile|check", file=sys.stderr)
        return 2
    return command()


def extract_all() -> int:
    template = find_messages(ROOT)
    for po in find_catalogues():
        before = po.read_bytes()
        catalogue = read_catalogue(before, locale=po.parents[1].name)
        catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
        text = io.BytesIO()
        # No line numbers: else every edit of a template would change this file too.
        write_po(text, catalogue, width=100, ignore_obsolete=True, include_lineno=False)
        if text.getvalue() != before:
            po.write_bytes(text.getvalue())
        missing = sum(not is_translated(message) for message in catalogue if message.id)
        print(f"{po.relative_to(ROOT)}: {len(catalogue)} messages, {missing} to translate")
    return 0


def compile_all() -> int:
    for mo in compile_stale(LOCALE):
        print(f"Compiled {mo.relative_to(ROOT)}")
    return 0


def check_all() -> int:
    template = find_messages(ROOT)
    catalogues = find_catalogues()
    problems = [] if catalogues else [f"{LOCALE} holds no catalogue"]
    for po in catalogues:
        catalogue = read_catalogue(po.read_bytes(), locale=po.parents[1].name)
        problems += [
            f"{po.relative_to(ROOT)}: {each}" for each in find_problems(template, catalogue)
        ]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(template)} messages, translated in {len(catalogues)} catalogue(s)")
    return 1 if problems else 0


def find_catalogues() -> list[Path]:
    return sorted(LOCALE.glob(f"*/{DOMAIN}"))


def read_catalogue(text: bytes, *, locale: str) -> Catalog:
    return read_po(io.BytesIO(text), locale=locale, abort_invalid=True)


# --- What there is to translate -------------------------------------------------------------
def find_messages(root: Path) -> Catalog:
    """Collect every text of the code and the templates below ``root``, with its places."""
    found = Catalog(charset="utf-8")
    for path in find_sources(root):
        method: Any = extract_code if path.suffix == ".py" else extract_template
        name = path.relative_to(root).as_posix()
        with path.open("rb") as file:
            for line, text, comments, context in extract(
                method, file, KEYWORDS, [COMMENT], {}, strip_comment_tags=True
            ):
                if text:
                    found.add(text, None, [(name, line)], auto_comments=comments, context=context)
    return found


def find_sources(root: Path) -> Iterator[Path]:
    for source in SOURCES:
        for path in sorted((root / source).rglob("*")):
            if path.suffix in {".py", ".html", ".txt"} and "migrations" not in path.parts:
                yield path


def extract_code(
    file: IO[bytes],
    keywords: Collection[str],
    comment_tags: Collection[str],
    options: Mapping[str, Any],
) -> Iterator[Any]:
    """Find the texts of a Python file, whatever name it gives to Django's functions."""
    code = file.read()
    aliases = {
        name.asname: name.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for name in node.names
        if name.asname and name.name in KEYWORDS
    }
    known: Any = {*keywords, *aliases}
    found: Iterator[Any] = extract_python(io.BytesIO(code), known, comment_tags, {})
    for line, function, *rest in found:
        yield (line, aliases.get(function, function), *rest)


def extract_template(
    file: IO[bytes],
    keywords: Collection[str],
    comment_tags: Collection[str],
    options: Mapping[str, Any],
) -> Iterator[Any]:
    """Find the texts of a Django template, as Babel's extraction methods do."""
    with warnings.catch_warnings():
        # A comment for translators that would be lost is a mistake, not a detail.
        warnings.simplefilter("error", TranslatorCommentWarning)
        code = templatize(file.read().decode())
    # Django leaves calls of gettext among blanked-out text, indented as the template was.
    flat = "\n".join(line.strip() for line in code.split("\n"))
    known: Any = keywords
    return extract_python(io.BytesIO(flat.encode()), known, comment_tags, {})


# --- What is wrong with a translation -------------------------------------------------------
def check_catalogue(template: Catalog, text: bytes, *, locale: str) -> list[str]:
    try:
        return list(find_problems(template, read_catalogue(text, locale=locale)))
    except PoFileError as error:
        return [f"can't be read: {error}"]


def find_problems(template: Catalog, catalogue: Catalog) -> Iterator[str]:
    """Say of each message why a reader would not see it as it is meant."""
    if catalogue.fuzzy:
        yield "the file is marked fuzzy: take the mark out of its head"
    if catalogue.num_plurals != (right := get_plural(catalogue.locale).num_plurals):
        yield f"its head says {catalogue.num_plurals} plural forms, the language has {right}"
    for wanted in template:
        if wanted.id and catalogue.get(first(wanted.id), wanted.context) is None:
            yield f"missing: {name_of(wanted)}"
    for message in catalogue:
        if not message.id:
            continue
        source = template.get(first(message.id), message.context)
        if source is None:
            yield f"obsolete, nothing says this any more: {name_of(message)}"
        elif source.pluralizable != message.pluralizable or source.id != message.id:
            yield f"its plural differs from the source: {name_of(source)}"
        else:
            yield from find_faults(message, source, plurals=catalogue.num_plurals)
    for message in catalogue.obsolete.values():
        yield f"obsolete, nothing says this any more: {name_of(message)}"


def find_faults(message: Message, source: Message, *, plurals: int) -> Iterator[str]:
    if message.fuzzy:
        yield f"fuzzy: {name_of(source)}"
    strings = translations_of(message)
    if message.pluralizable and len(strings) != plurals:
        yield f"{len(strings)} plural forms where the language has {plurals}: {name_of(source)}"
    if not is_translated(message):
        yield f"not translated: {name_of(source)}"
        return
    # The number itself may be left out of a form that stands for one number only, as in English.
    allowed = [placeholders(text) for text in ids_of(message)]
    for string in strings:
        if (found := placeholders(string)) not in allowed:
            differing = (found - allowed[-1]) + (allowed[-1] - found)
            yield f"{', '.join(sorted(differing))} differs: {name_of(source)}"
    for edge in ("start", "end"):
        if any(has_break(text, edge) != has_break(ids_of(message)[0], edge) for text in strings):
            yield f"a line break at its {edge} differs: {name_of(source)}"


def is_translated(message: Message) -> bool:
    return bool(message.string) and all(text.strip() for text in translations_of(message))


def translations_of(message: Message) -> tuple[str, ...]:
    # A text that is new has none at all yet.
    return tuple(message.string or "") if message.pluralizable else (str(message.string or ""),)


def ids_of(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if message.pluralizable else (str(message.id),)


def first(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else text[0]


def placeholders(text: str) -> Counter[str]:
    return Counter(PLACEHOLDER.findall(text.replace("%%", "")))


def has_break(text: str, edge: str) -> bool:
    return text.startswith("\n") if edge == "start" else text.endswith("\n")


def name_of(message: Message) -> str:
    shown = f'"{first(message.id)}"'
    if message.context:
        shown += f" ({message.context})"
    places = ", ".join(f"{path}:{line}" if line else path for path, line in message.locations[:3])
    return f"{shown} in {places}" if places else shown


if __name__ == "__main__":
    sys.exit(main())
