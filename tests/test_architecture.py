"""Which way the doors open: read from the imports and calls of the code itself."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
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
# Where each library of the outside has its room: whoever else needs it asks there.
ROOM_OF_LIBRARY: Mapping[str, str] = {
    **dict.fromkeys(("motor", "pymongo", "bson", "gridfs"), "bot.store.driver"),
    **dict.fromkeys(("redis", "rq"), "bot.messaging"),
    **dict.fromkeys(("twilio", "firebase_admin", "pywebpush", "aiosmtplib", "stripe"), "bot.providers"),
}

# The floors of the house, from the ground up; a folder stands for all that is in it, and the longest name counts. An
# import goes down, or stays on its floor.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("conversations", "matching"),
    ("bot", "bot.errors", "bot.identity", "bot.cancelling"),
    ("bot.settings", "bot.words"),
    ("bot.schemas",),
    ("bot.store", "bot.messaging.driver"),
    ("bot.logs", "bot.clock", "bot.rounds"),
    ("bot.messaging", "bot.providers"),
    ("bot.access", "bot.feeds"),
    ("bot.live",),
    ("bot.notifications",),
    ("bot.turns",),
    ("bot.integrations", "bot.runtime"),
    ("bot.services", "bot.contract"),
    ("bot.cli", "workers"),
    ("bot.web",),
    ("bot.app",),
    ("bot.__main__",),
)
# What stands in `bot` beside its folders: what joins everything, and what everything needs.
BESIDE_THE_FOLDERS = {
    *("__init__", "__main__", "app", "services"),
    *("cancelling", "clock", "errors", "identity", "rounds", "words"),
}
MOST_MODULES_IN_A_FOLDER = 20
# A file a collection.
FOLDERS_OF_ANY_SIZE = {"bot/store"}
# Everything at once for whoever tries the program out: nothing that serves may need it.
DEMONSTRATION = ("bot.cli",)
MAY_KNOW_THE_DEMONSTRATION = ("bot.cli", "bot.__main__")
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


def graph(*rooms: str) -> dict[str, set[str]]:
    """By its dotted name, what each module of the house imports of the house; a package is its `__init__`."""
    names = {dotted(module) for module in modules(*rooms)}
    return {
        dotted(module): {each for each in imported_modules(module, names) if each != dotted(module)}
        for module in modules(*rooms)
    }


def dotted(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def imported_modules(module: str, names: set[str]) -> Iterator[str]:
    """`from package import module` imports the module, and `from module import name` the module that has the name."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (members & names) or ({node.module} & names)


def floor_of(module: str) -> int:
    """How high this module stands; one that stands nowhere is one too many."""
    standing = {place: height for height, floor in enumerate(FLOORS) for place in floor}
    above = [module.rsplit(".", cut)[0] for cut in range(module.count(".") + 1)]
    place = next((each for each in above if each in standing and (each != "bot" or module == "bot")), None)
    assert place is not None, f"{module} stands on no floor"
    return standing[place]


def upward(imported: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    return {(module, each) for module, found in imported.items() for each in found if floor_of(each) > floor_of(module)}


def in_circles(imported: Mapping[str, Iterable[str]]) -> set[str]:
    """The modules that need themselves, by whichever way: what is left when all that lead nowhere are taken away."""
    left = {module: set(found) for module, found in imported.items()}
    while leaves := {module for module, found in left.items() if not found & left.keys()}:
        left = {module: found - leaves for module, found in left.items() if module not in leaves}
    return set(left)


def strangers(importing: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    """Modules that import a library which has its room elsewhere."""
    return {
        (module, library)
        for module, found in importing.items()
        for library in map(room_of, found)
        if library in ROOM_OF_LIBRARY and not is_in(module, (ROOM_OF_LIBRARY[library],))
    }


def is_in(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def who_know_the_demonstration(imported: Mapping[str, Iterable[str]]) -> set[str]:
    return {
        module
        for module, found in imported.items()
        if not is_in(module, MAY_KNOW_THE_DEMONSTRATION) and any(is_in(each, DEMONSTRATION) for each in found)
    }


def test_no_import_runs_up_a_floor() -> None:
    assert not upward(graph(*ROOMS))


def test_an_import_that_runs_up_is_seen() -> None:
    assert upward({**graph(*ROOMS), "bot.store.records": {"bot.web.http.exchange"}}) == {
        ("bot.store.records", "bot.web.http.exchange")
    }


def test_no_module_needs_itself_by_way_of_others() -> None:
    assert not in_circles(graph(*ROOMS))


def test_a_circle_is_seen() -> None:
    planted = graph(*ROOMS)
    planted["bot.web.socketio.connection"] |= {"bot.web.socketio.engine"}
    assert {"bot.web.socketio.connection", "bot.web.socketio.engine"} <= in_circles(planted)


def test_each_library_of_the_outside_has_one_room() -> None:
    importing = {dotted(module): set(imports(module)) for module in modules("bot", "workers")}
    own_servers = {dotted(module) for module in OWN_SERVERS}
    assert not {(module, library) for module, library in strangers(importing) if module not in own_servers}


def test_a_library_outside_its_room_is_seen() -> None:
    assert strangers({"bot.live.signals": {"redis.asyncio"}, "bot.messaging.bus": {"redis.asyncio"}}) == {
        ("bot.live.signals", "redis")
    }


def test_what_serves_knows_nothing_of_the_demonstration() -> None:
    assert not who_know_the_demonstration(graph(*ROOMS))


def test_one_who_serves_and_knows_the_demonstration_is_seen() -> None:
    planted = {**graph(*ROOMS), "bot.web.http.pages": {"bot.cli.demo_data"}}
    assert who_know_the_demonstration(planted) == {"bot.web.http.pages"}


def test_the_house_tells_its_architecture_by_its_folders() -> None:
    beside = {path.stem for path in (HOUSE / "bot").glob("*.py")}
    assert beside == BESIDE_THE_FOLDERS


def test_no_folder_holds_more_than_can_be_seen_at_once() -> None:
    files = [Path(module) for module in modules(*ROOMS)]
    files += [path.relative_to(HOUSE) for path in (HOUSE / "bot/pages").rglob("*.js")]
    counts: dict[str, int] = {}
    for path in files:
        if path.name != "__init__.py":
            counts[str(path.parent)] = counts.get(str(path.parent), 0) + 1
    crowded = {folder: count for folder, count in counts.items() if count > MOST_MODULES_IN_A_FOLDER}
    assert not crowded.keys() - FOLDERS_OF_ANY_SIZE, crowded


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


def test_the_program_its_package_and_its_pages_have_one_version() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "bot.__version__"}
    for pages in ("package.json", "package-lock.json"):
        assert json.loads((HOUSE / pages).read_text(encoding="utf-8"))["version"] == bot.__version__, pages


def is_marked_slow(module: ast.Module) -> bool:
    return any(ast.unparse(node) == "pytestmark = pytest.mark.slow" for node in module.body)


def test_what_plays_the_whole_program_is_marked_as_slow_but_for_one_story_in_the_browser() -> None:
    """`make quick` is what one runs all day: it leaves out what is slow, and still books a massage in Chromium."""
    playing = [path for room in ("stories", "browser", "fuzz") for path in (HOUSE / "tests" / room).glob("test_*.py")]
    quick = {path.name for path in playing if not is_marked_slow(ast.parse(path.read_text(encoding="utf-8")))}
    assert quick == {"test_story.py", "test_pages_sources.py"}


# What stands for another world and not for another pace: where the program lies, and which aiohttp is installed.
PATCHED_ALL_THE_SAME = {"ROOT", "FITS"}


def patched_constants(module: ast.Module) -> set[str]:
    """Which constants of modules a test replaces."""
    patching = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr"
    ]
    texts = [each.value for call in patching for each in call.args[:2] if isinstance(each, ast.Constant)]
    names = {str(text).rpartition(".")[2] for text in texts}
    return {name for name in names if name.isupper()} - PATCHED_ALL_THE_SAME


def test_no_test_patches_a_constant() -> None:
    """Pauses and patience are handed in, see `bot/settings/rhythms.py`: what is patched reaches no other process."""
    tests = [path for path in (HOUSE / "tests").rglob("*.py") if path.name != Path(__file__).name]
    assert tests
    found = {path.name: patched_constants(ast.parse(path.read_text(encoding="utf-8"))) for path in tests}
    assert not {name: constants for name, constants in found.items() if constants}


def test_a_patched_constant_is_seen() -> None:
    written = (
        'monkeypatch.setattr(bus, "PING_EVERY_S", 1)\nlate.setattr("bot.words.MOST_GAPS", 2)\nx.setattr(a, "b", 3)'
    )
    assert patched_constants(ast.parse(written)) == {"PING_EVERY_S", "MOST_GAPS"}


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
