"""Which way the doors open: read from the imports and calls of the code itself."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import bot

HOUSE = Path(__file__).parent.parent
ROOMS = ("conversations", "matching", "bot", "workers")
PURE_ROOMS = ("conversations", "matching")

# All of the standard library that a decision needs: nothing here tells the time, rolls a die or reaches the world.
PURE_MODULES = {"__future__", "collections.abc", "dataclasses", "datetime", "enum", "hashlib", "math", "typing"}
# Calls that ask the world although their module is pure, or answer differently in every process.
IMPURE_CALLS = {"now", "utcnow", "today", "open", "print", "input", "hash", "id", "eval", "exec", "__import__"}
# What the machine believes to be the time: the clock knows by how much that is wrong.
TELLS_THE_TIME = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
# They administer the servers that we start ourselves, before there is anything to drive.
OWN_SERVERS = {"bot/runtime/embedded.py", "bot/runtime/engines.py"}
DRIVERS = {"motor", "pymongo", "bson", "gridfs"}
LONGEST_MODULE = 700

# Who may call what writes into the document of a record: the turn alone changes the record itself; an effect that was
# performed leaves the outbox, a preliminary answer is replaced by the one that was given, and those of a guest who was
# erased are forgotten.
WRITES_TO_RECORDS = {
    "decide": {"bot/turns/turns.py"},
    "save": {"bot/turns/turns.py"},
    "performed": {"bot/turns/outboxes.py"},
    "amend_answer": {"bot/web/sessions/answers.py"},
    "forget_answers": {"bot/turns/erasure.py"},
}
RECORD_COLLECTIONS = {"conversations", "searches", "bookings", "external_bookings"}
MONGO_READS = {"aggregate", "count_documents", "distinct", "find", "find_one"}
MONGO_WRITES = {
    "bulk_write",
    "delete_many",
    "delete_one",
    "find_one_and_delete",
    "find_one_and_replace",
    "find_one_and_update",
    "insert_many",
    "insert_one",
    "replace_one",
    "update_many",
    "update_one",
}
# Ways to turn text into markup; what people wrote is only ever shown as text.
MARKUP = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "createContextualFragment", "eval(")


def modules(*rooms: str) -> list[str]:
    """The Python files of these rooms, relative to the house."""
    return sorted(str(path.relative_to(HOUSE)) for room in rooms for path in (HOUSE / room).rglob("*.py"))


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((HOUSE / module).read_text(encoding="utf-8"))


@cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree(module)))


def imports(module: str) -> Iterator[str]:
    """Every module that this one imports, wherever in it the import stands."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    """The last name of everything that is called, with the call."""
    for node in nodes(module):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield node.func.id, node


def room_of(module: str) -> str:
    return module.split(".", 1)[0]


def test_there_is_a_house_to_look_at() -> None:
    for room in ROOMS:
        assert modules(room), room


# --- the pure rooms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_knows_itself_and_what_is_pure_and_nothing_else(room: str) -> None:
    foreign = {
        (module, imported)
        for module in modules(room)
        for imported in imports(module)
        if room_of(imported) != room and imported not in PURE_MODULES
    }
    assert not foreign


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_asks_neither_the_clock_nor_chance_nor_the_world(room: str) -> None:
    impure = {(module, name, call.lineno) for module in modules(room) for name, call in calls(module)}
    assert not {each for each in impure if each[1] in IMPURE_CALLS}


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_waits_for_nothing(room: str) -> None:
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Global)
    assert not [module for module in modules(room) for node in nodes(module) if isinstance(node, waiting)]


# --- the shell --------------------------------------------------------------------------------------------------------


def test_the_web_process_never_knows_the_workers() -> None:
    assert not [module for module in modules("bot") if "workers" in map(room_of, imports(module))]


def test_the_driver_of_the_database_has_one_door() -> None:
    importing = {module for module in modules("bot", "workers") if DRIVERS & set(map(room_of, imports(module)))}
    assert importing == {"bot/store/driver.py", *OWN_SERVERS}


@pytest.mark.parametrize("write", WRITES_TO_RECORDS)
def test_a_record_changes_in_one_place(write: str) -> None:
    calling = {module for module in modules("bot", "workers") for name, _ in calls(module) if name == write}
    assert calling <= WRITES_TO_RECORDS[write]


def test_the_collections_of_records_are_written_by_their_store_and_only_read_by_anybody_else() -> None:
    for module in modules("bot", "workers"):
        fine = {id(argument) for name, call in calls(module) if name == "Records" for argument in call.args}
        fine |= {
            id(each.value) for each in nodes(module) if isinstance(each, ast.Attribute) and each.attr in MONGO_READS
        }
        assert not [ast.unparse(each) for each in nodes(module) if _is_record_collection(each) and id(each) not in fine]


def _is_record_collection(node: ast.AST) -> bool:
    """`database["bookings"]` and the like."""
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value in RECORD_COLLECTIONS
        and ast.unparse(node.value).endswith("database")
    )


def test_only_the_store_writes_to_the_database() -> None:
    """But for the epoch of the feeds, which is not a record and is written once."""
    writing = {module for module in modules("bot", "workers") for name, _ in calls(module) if name in MONGO_WRITES}
    assert {module for module in writing if not module.startswith("bot/store/")} <= {"bot/services.py"}


def test_every_emit_says_to_whom() -> None:
    """An emit without a recipient reaches everybody of a namespace, also those who are refused at that moment."""
    assert to_everybody(ast.parse('server.emit("secret", data)\nserver.emit("entry", data, to=sid)')) == [1]
    assert not [f"{module}:{line}" for module in modules("bot", "workers") for line in to_everybody(tree(module))]


def to_everybody(module: ast.Module) -> list[int]:
    """The lines that emit without a recipient, in upstream's way."""
    emits = [each for each in ast.walk(module) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)]
    return [
        each.lineno
        for each in emits
        if ast.unparse(each.func).endswith(".emit") and not {"to", "room"} & {one.arg for one in each.keywords}
    ]


def test_only_the_clock_asks_the_machine_what_time_it_is() -> None:
    asking = {
        module
        for module in modules(*ROOMS)
        for _, call in calls(module)
        if ast.unparse(call.func).removeprefix("datetime.datetime.") in TELLS_THE_TIME
    }
    assert asking == {"bot/clock.py"}


def test_the_program_and_its_package_have_the_same_version() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == bot.__version__


# --- shape ------------------------------------------------------------------------------------------------------------


def test_a_module_says_first_what_it_is_for_and_is_short_enough_to_read() -> None:
    for module in modules(*ROOMS):
        text = (HOUSE / module).read_text(encoding="utf-8")
        assert text.count("\n") <= LONGEST_MODULE, module
        assert ast.get_docstring(tree(module)), f"{module} opens without its sentence"


def test_what_people_wrote_never_becomes_markup() -> None:
    pages = sorted((HOUSE / "bot/pages").rglob("*.js")) + sorted((HOUSE / "bot/pages").rglob("*.html"))
    assert pages
    found = [(page.name, way) for page in pages for way in MARKUP if way in page.read_text(encoding="utf-8")]
    assert not found
