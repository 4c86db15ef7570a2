"""The catalogs say everything that the code says, and nothing that it does not."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog

from bot.words import LOCALES

SCRIPT = Path(__file__).parents[2] / "scripts/catalogs"
PLACEHOLDER = re.compile(r"\{\w+\}")


def load_script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("catalogs", str(SCRIPT))
    spec = importlib.util.spec_from_loader("catalogs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


catalogs = load_script()


@pytest.fixture(scope="module")
def extracted() -> Catalog:
    found: Catalog = catalogs.extract()
    return found


def msgids(catalog: Catalog) -> set[str]:
    return {str(message.id) for message in catalog if message.id}


@pytest.mark.parametrize("locale", LOCALES)
def test_a_catalog_has_exactly_the_sentences_of_the_code(locale: str, extracted: Catalog) -> None:
    assert msgids(catalogs.read(locale)) == msgids(extracted), "run scripts/catalogs and translate what it names"


def test_every_sentence_is_translated() -> None:
    assert list(catalogs.untranslated(catalogs.read("id"))) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_a_translation_has_the_placeholders_of_its_sentence(locale: str) -> None:
    for message in catalogs.read(locale):
        if message.id and message.string:
            assert set(PLACEHOLDER.findall(message.string)) == set(PLACEHOLDER.findall(message.id)), message.id


@pytest.mark.parametrize("locale", LOCALES)
def test_translations_end_and_begin_like_their_sentences(locale: str) -> None:
    """A sentence keeps its full stop, its ellipsis and its spaces."""
    for message in catalogs.read(locale):
        if message.id and message.string:
            assert message.string == message.string.strip(), message.id
            for ending in (".", "…", "?", ":"):
                assert message.string.endswith(ending) == message.id.endswith(ending), message.id


@pytest.mark.parametrize("locale", LOCALES)
def test_a_catalog_is_written_the_same_way_each_time(locale: str) -> None:
    assert catalogs.as_file(catalogs.read(locale), locale) == catalogs.path_of(locale).read_bytes()


def test_every_sentence_on_the_pages_can_be_extracted(extracted: Catalog) -> None:
    assert catalogs.unreadable_calls(extracted) == []


def test_calls_that_the_extractor_cannot_read_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bot/pages").mkdir(parents=True)
    page = tmp_path / "bot/pages/page.js"
    page.write_text('t("read"); t(name); t("outer {x}", { x: t("inner") }); // t(in a comment)\nfunction t(msgid) {}\n')
    monkeypatch.setattr(catalogs, "ROOT", tmp_path)
    found = catalogs.extract()

    assert msgids(found) == {"read", "outer {x}"}
    assert catalogs.unreadable_calls(found) == ["bot/pages/page.js: t(", 'bot/pages/page.js: t("inner")']


def test_sentences_of_the_code_are_found_where_they_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bot/web/socketio").mkdir(parents=True)
    (tmp_path / "bot/web/socketio/door.py").write_text(
        'N_("one " "long sentence"); _("two")\n'
        'raise Refusal("invalid", "three", fields={"name": N_("four")})\n'
        'raise Refusal("invalid", REFUSALS["invalid"]); N_(f"{no}"); N_(); print("no")\n'
    )
    monkeypatch.setattr(catalogs, "ROOT", tmp_path)

    assert msgids(catalogs.extract()) == {"one long sentence", "two", "three", "four"}


def test_sentences_of_the_templates_are_found_where_they_are_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "workers/templates").mkdir(parents=True)
    (tmp_path / "workers/templates/moved.mjml").write_text(
        '{% block a %}<mj-text>{{ t("one") }} t("no") {# t("no") #}</mj-text>{% endblock %}'
        '{% if t("two {x}", x=1) %}{% endif %}'
    )
    (tmp_path / "workers/templates/moved.txt").write_text('{{ t("one") }} {{ f(t("three")) }} {{ t(no) }}')
    monkeypatch.setattr(catalogs, "ROOT", tmp_path)

    assert msgids(catalogs.extract()) == {"one", "two {x}", "three"}


def test_a_run_keeps_translations_and_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogs, "ROOT", tmp_path)
    code = tmp_path / "bot/greeting.py"
    code.parent.mkdir()
    code.write_text('N_("Hello"); N_("Goodbye")')
    catalogs.main()
    path = catalogs.path_of("id")
    path.write_text(path.read_text().replace('msgid "Hello"\nmsgstr ""', 'msgid "Hello"\nmsgstr "Halo"'))
    code.write_text('N_("Hello"); N_("Welcome, {name}")')
    capsys.readouterr()

    assert catalogs.main() == 0
    assert {message.id: message.string for message in catalogs.read("id") if message.id} == {
        "Hello": "Halo",
        "Welcome, {name}": "",
    }
    assert capsys.readouterr().out == "to translate: Welcome, {name}\n"
    first = path.read_bytes()
    catalogs.main()
    assert path.read_bytes() == first
    assert not re.search(rb"Date|Generated|\.py:\d", first)
