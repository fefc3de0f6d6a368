"""Texts are found wherever they are written, and none reaches a reader untranslated."""

import gettext
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.translation import trans_real

from arena.accounts.templatetags.languages import find_languages
from arena.accounts.zones import zone_choices
from arena.catalogues import compile_stale, find_folder
from scripts import translations
from scripts.translations import check_catalogue, find_messages

HEAD = """
msgid ""
msgstr ""
"Language: zh_Hans\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"""
SOURCE = """
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext_lazy

HELLO = _("Hello, %(name)s")
TEAMS = ngettext("one team", "%(count)s teams", 2)
REASON = _("refused: {reason}")
STYLE = pgettext_lazy("column", "Style")
"""
RIGHT = """
msgid "Hello, %(name)s"
msgstr "你好，%(name)s"

msgid "one team"
msgid_plural "%(count)s teams"
msgstr[0] "%(count)s 支队伍"

msgid "refused: {reason}"
msgstr "被拒绝：{reason}"

msgctxt "column"
msgid "Style"
msgstr "风格"
"""
FAULTS = {
    "missing": ('msgid "refused: {reason}"\nmsgstr "被拒绝：{reason}"\n', ""),
    "another context": ('msgctxt "column"\n', 'msgctxt "row"\n'),
    "empty": ('msgstr "被拒绝：{reason}"', 'msgstr ""'),
    "blank": ('msgstr "被拒绝：{reason}"', 'msgstr " "'),
    "fuzzy": ('msgid "refused', '#, fuzzy\nmsgid "refused'),
    "obsolete": ("\nmsgctxt", '\n#~ msgid "gone"\n#~ msgstr "没了"\n\nmsgctxt'),
    "said by nothing": ("\nmsgctxt", '\nmsgid "gone"\nmsgstr "没了"\n\nmsgctxt'),
    "an empty plural": ('msgstr[0] "%(count)s 支队伍"', 'msgstr[0] ""'),
    "another plural": ('msgid_plural "%(count)s teams"', 'msgid_plural "%(count)s groups"'),
    "a renamed placeholder": ("你好，%(name)s", "你好，%(nom)s"),
    "a lost placeholder": ("你好，%(name)s", "你好"),
    "a repeated placeholder": ("你好，%(name)s", "你好，%(name)s%(name)s"),
    "a placeholder of another kind": ("被拒绝：{reason}", "被拒绝：%(reason)s"),
}


def make_site(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        kind, stem = name.split("_", 1)
        path = folder / ("templates" if kind == "html" else "competitions") / f"{stem}.{kind}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def problems_of(catalogue: str, site: Path, head: str = HEAD) -> list[str]:
    return check_catalogue(find_messages(site), (head + catalogue).encode(), locale="zh_Hans")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path, py_words=SOURCE)


@pytest.fixture
def compiled() -> Iterator[None]:
    """Let this process read what is compiled now, and forget it afterwards."""
    compile_stale(find_folder())
    for forget in (find_languages.cache_clear, vars(trans_real)["_translations"].clear):
        forget()
    yield
    find_languages.cache_clear()


@pytest.mark.parametrize(("said", "status"), [("你好，%(name)s", 0), ("", 1)])
def test_the_check_fails_where_a_translation_is_missing(
    site: Path,
    said: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    po = site / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
    po.parent.mkdir(parents=True)
    po.write_text(HEAD + RIGHT.replace("你好，%(name)s", said))
    monkeypatch.setattr(translations, "ROOT", site)
    monkeypatch.setattr(translations, "LOCALE", site / "locale")
    monkeypatch.setattr(sys, "argv", ["translations.py", "check"])
    assert translations.main() == status
    assert ("Hello" in capsys.readouterr().err) == bool(status)


def test_a_new_text_waits_in_the_catalogue_and_a_gone_one_leaves_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    po = site / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
    po.parent.mkdir(parents=True)
    po.write_text(HEAD + RIGHT)
    monkeypatch.setattr(translations, "ROOT", site)
    monkeypatch.setattr(translations, "LOCALE", site / "locale")
    make_site(site, py_words=SOURCE.replace("Hello", "Good morning"))
    assert translations.extract_all() == 0
    text = po.read_text()
    assert 'msgid "Good morning, %(name)s"\nmsgstr ""' in text
    assert "你好" not in text
    assert "支队伍" in text
    assert translations.extract_all() == 0
    assert po.read_text() == text


def test_a_complete_catalogue_has_no_problems(site: Path) -> None:
    assert problems_of(RIGHT, site) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_catalogue_is_a_problem(site: Path, fault: str) -> None:
    right, wrong = FAULTS[fault]
    assert right in RIGHT
    assert problems_of(RIGHT.replace(right, wrong), site) != []


@pytest.mark.parametrize("forms", ["nplurals=2; plural=(n != 1);", "nplurals=1; plural=0;"])
def test_a_wrong_number_of_plural_forms_is_a_problem(site: Path, forms: str) -> None:
    head = HEAD.replace("nplurals=1; plural=0;", forms)
    two = RIGHT.replace('支队伍"\n', '支队伍"\nmsgstr[1] "%(count)s 支队伍"\n')
    assert problems_of(two, site, head) != []


def test_a_problem_names_the_text_and_its_place(site: Path) -> None:
    (problem,) = problems_of(RIGHT.replace("你好，%(name)s", ""), site)
    assert problem == 'not translated: "Hello, %(name)s" in competitions/words.py:5'


TEMPLATE = """{% load i18n %}{% extends "base.html" %}
{# Translators: the verb #}
{% translate "Submit" %}
    {% translate 'Log in' as title %}<p title="{% translate "100 %" context "share" %}">
{% blocktranslate trimmed with name=user.name %}
  Hello,
  {{ name }}
{% endblocktranslate %}
  {% blocktranslate count n=teams context "board" %}{{ n }} team
  {% plural %}{{ n }} teams{% endblocktranslate %}
{% include "partials/empty.html" with title=_("Nothing yet") %}
{{ value|default:_("none") }}{% if a < b %} it's (unbalanced {% endif %}
"""


def test_texts_are_found_in_every_form_a_template_has(tmp_path: Path) -> None:
    found = find_messages(make_site(tmp_path, html_page=TEMPLATE))
    places = {
        (message.context, message.id): message.locations[0][1] for message in found if message.id
    }
    assert places == {
        (None, "Submit"): 3,
        (None, "Log in"): 4,
        ("share", "100 %%"): 4,
        (None, "Hello, %(name)s"): 5,
        ("board", ("%(n)s team\n  ", "%(n)s teams")): 9,
        (None, "Nothing yet"): 11,
        (None, "none"): 12,
    }
    submit = found["Submit"]
    assert submit.auto_comments == ["the verb"]
    assert "python-format" not in submit.flags
    assert "python-format" in found["Hello, %(name)s"].flags


def test_texts_are_found_in_every_form_code_has(tmp_path: Path) -> None:
    calls = [
        '_("a")',
        'gettext("b")',
        'gettext_lazy("c")',
        'gettext_noop("d")',
        'ngettext("e", "es", n)',
        'ngettext_lazy("f", "fs", "n")',
        'pgettext("x", "g")',
        'pgettext_lazy("x", "h")',
        'npgettext("x", "i", "is", n)',
        'npgettext_lazy("x", "j", "js", "n")',
        '_("k"\n  "l") % {"name": _("m")}',
        "from django.utils.translation import gettext_lazy as _later, ngettext as _many",
        '_later("n")',
        '_many("o", "os", n)',
    ]
    found = find_messages(make_site(tmp_path, py_code="\n".join(calls)))
    assert {(message.context, message.id) for message in found if message.id} == {
        *((None, text) for text in ("a", "b", "c", "d", "kl", "m", "n")),
        *((None, pair) for pair in (("e", "es"), ("f", "fs"), ("o", "os"))),
        *(("x", text) for text in ("g", "h")),
        *(("x", pair) for pair in (("i", "is"), ("j", "js"))),
    }


def test_a_catalogue_is_compiled_once_and_again_when_its_text_changes(tmp_path: Path) -> None:
    po = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.po"
    po.parent.mkdir(parents=True)
    po.write_text(HEAD + RIGHT)
    assert compile_stale(tmp_path) == [po.with_suffix(".mo")]
    assert compile_stale(tmp_path) == []
    po.write_text(HEAD + RIGHT.replace("你好", "您好"))
    os.utime(po, ns=(po.stat().st_atime_ns, po.with_suffix(".mo").stat().st_mtime_ns + 1))
    assert compile_stale(tmp_path) == [po.with_suffix(".mo")]
    with po.with_suffix(".mo").open("rb") as file:
        read = gettext.GNUTranslations(file)
    assert read.gettext("Hello, %(name)s") == "您好，%(name)s"
    assert sorted(path.name for path in po.parent.iterdir()) == ["django.mo", "django.po"]


@pytest.mark.django_db
@pytest.mark.usefixtures("compiled")
def test_a_page_comes_in_the_browsers_language(client: Client) -> None:
    for accepted in ("zh-hans", "zh-CN,zh;q=0.9,en;q=0.8", "zh"):
        page = client.get(reverse("home"), headers={"accept-language": accepted})
        assert page.headers["Content-Language"] == "zh-hans"
        assert "竞赛" in page.content.decode()
    english = client.get(reverse("home"), headers={"accept-language": "fr, en;q=0.5"})
    assert "Competitions" in english.content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("compiled")
def test_a_page_comes_in_the_language_chosen_on_it(client: Client) -> None:
    home = reverse("home")
    for code, expected in (("zh-hans", "竞赛"), ("en", "Competitions")):
        answer = client.post(reverse("set_language"), {"language": code, "next": home})
        assert answer.headers["Location"] == home
        text = client.get(home, headers={"accept-language": "fr"}).content.decode()
        assert f'<html lang="{code}">' in text
        assert expected in text


def test_every_time_zone_is_offered_by_its_citys_chinese_name() -> None:
    offered = [label for _region, zones in zone_choices("zh-hans") for _zone, label in zones]
    assert len(offered) > 400
    assert [label for label in offered if not re.match(r"[\u4e00-\u9fff]", label)] == []
    assert {"上海 (UTC+8)", "加尔各答 (UTC+5:30)"} <= set(offered)
