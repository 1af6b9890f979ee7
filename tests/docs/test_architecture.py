"""docs/architecture.md is true: modules, floors, imports, names and refusals are as it says."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import dosift
from dosift.refusals import REFUSALS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dosift"
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("docs/ is not there", allow_module_level=True)

TEXT = (DOCS / "architecture.md").read_text(encoding="utf-8")
#: Of the import graph between rooms: a folder, or a module beside them.
MOST_ROOMS, MOST_ARROWS = 30, 160


def section(title: str, level: int = 2) -> str:
    found = re.search(rf"^{'#' * level} {re.escape(title)}\n(.*?)(?=^#|\Z)", TEXT, re.M | re.S)
    assert found is not None, f"no section {title!r}"
    return found.group(1)


@cache
def modules() -> dict[str, Path]:
    """Every module by its name below dosift; packages by their own."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def imports_of(path: Path, known: frozenset[str]) -> Iterator[str]:
    """Modules of dosift that a file imports, for types, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] != "dosift":
                continue
            short = name.removeprefix("dosift").removeprefix(".")
            while short not in known:
                short = short.rpartition(".")[0]
            yield short


@cache
def import_graph() -> dict[str, set[str]]:
    known = frozenset(modules())
    return {name: set(imports_of(path, known)) - {name} for name, path in modules().items() if name}


def floors() -> dict[str, int]:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section("Floors"), re.MULTILINE)
    return {
        name.rstrip("/"): int(number)
        for number, names in rows
        for name in re.findall(r"`([^`]+)`", names)
    }


def test_every_room_has_a_floor() -> None:
    assert set(floors()) == {room(name) for name in modules() if name}


def test_imports_go_down() -> None:
    floor = floors()
    wrong = [
        f"{name} imports {other}"
        for name, others in import_graph().items()
        for other in others
        if room(name) != room(other)
        and floor[room(other)] >= floor[room(name)]
        # The version and the public names are reached from anywhere.
        and other
    ]
    assert wrong == []


def test_nothing_in_the_house_imports_the_public_names() -> None:
    assert [name for name, others in import_graph().items() if "" in others] == []


def test_modules_go_in_no_circle() -> None:
    """A package's own names stand for what it imports, so they are left out here."""
    packages = {name for name, path in modules().items() if path.name == "__init__.py"}
    graph = {
        name: others - packages for name, others in import_graph().items() if name not in packages
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(reversed(error.args[1]))}")


def test_the_house_stays_small() -> None:
    arrows = {
        (room(name), room(other))
        for name, others in import_graph().items()
        for other in others
        if other and room(name) != room(other)
    }
    rooms = {room(name) for name in modules() if name}
    assert len(rooms) <= MOST_ROOMS
    assert len(arrows) <= MOST_ARROWS


def listed() -> set[str]:
    """Modules that the page describes, by the bullets of each folder's section."""
    found = set()
    rooms = TEXT[TEXT.index("\n## Rooms\n") :]
    for title, body in re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", rooms, re.M | re.S):
        folder = "" if title == "On the ground" else title.strip("/").replace("/", ".") + "."
        for bullet in re.findall(r"^\* (.*(?:\n  .*)*)", body, re.MULTILINE):
            for part in re.split(r";\s", bullet):
                names = part.partition(":")[0]
                found |= {folder + name for name in re.findall(r"`(\w+)`", names)}
    return found


def test_every_module_is_described_and_every_one_described_exists() -> None:
    there = {name for name, path in modules().items() if path.name != "__init__.py"}
    assert sorted(there - listed()) == []
    assert sorted(listed() - there) == []


def resolve(name: str) -> object:
    """Find what a dotted name below dosift stands for."""
    parts = name.split(".")
    at = next((k for k in range(len(parts), 0, -1) if ".".join(parts[:k]) in modules()), 0)
    found: object = importlib.import_module(".".join(["dosift", *parts[:at]]))
    for part in parts[at:]:
        found = getattr(found, part)
    return found


def test_every_name_exists() -> None:
    first = "|".join(sorted({room(name) for name in modules() if name}))
    pages = [TEXT, *(p.read_text(encoding="utf-8") for p in sorted((DOCS / "adding").glob("*.md")))]
    names = {name for page in pages for name in re.findall(rf"`((?:{first})(?:\.\w+)+)`", page)}
    assert len(names) > 30
    assert [name for name in sorted(names) if not _exists(name)] == []


def _exists(name: str) -> bool:
    try:
        resolve(name)
    except (AttributeError, ImportError):
        return False
    return True


def test_every_path_exists() -> None:
    pages = [TEXT, *(p.read_text(encoding="utf-8") for p in sorted((DOCS / "adding").glob("*.md")))]
    paths = {p for page in pages for p in re.findall(r"`((?:tests|src|docs)/[\w./]*)`", page)}
    assert paths
    assert [p for p in sorted(paths) if not (ROOT / p).exists()] == []


def test_names_in_docstrings_exist() -> None:
    text = {path: path.read_text(encoding="utf-8") for path in modules().values()}
    names = {
        name
        for source in text.values()
        for name in re.findall(r":\w+:`~?dosift\.([\w.]+)`", source)
    }
    names |= {
        f"{module}.{name}"
        for module, path in modules().items()
        for name in re.findall(r":(?:func|class|data):`(\w+)`", text[path])
    }
    assert len(names) > 50
    # The public names are reached from the top, too.
    assert [n for n in sorted(names) if not _exists(n) and n not in dosift.__all__] == []


def test_users_read_of_every_refusal() -> None:
    page = (DOCS / "how-to" / "what-goes-with-what.md").read_text(encoding="utf-8")
    wanted = [f"| {r.one} | {r.other} | {r.why} |" for r in REFUSALS]
    assert [line for line in wanted if line not in page.splitlines()] == []
