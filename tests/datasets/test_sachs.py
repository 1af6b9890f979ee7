"""The Sachs loader, without a network and without the real files."""

from __future__ import annotations

import hashlib
import io
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from dosift.datasets import load_sachs, sachs, sachs_graph
from dosift.errors import DosiftError, InputError
from dosift.io.graph import read_graph

NAME = "sachs.2005.discrete.txt"
CONTENT = b"raf\tmek\n" + b"1\t2\n" * 5399 + b"3\t1\n"


@pytest.fixture(autouse=True)
def small_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect a small stand-in instead of the real file."""
    monkeypatch.setitem(sachs._SHA256, NAME, hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOSIFT_DATA", str(tmp_path / "a" / "cache"))
    return tmp_path / "a" / "cache"


class Server:
    """Stands in for the network; answers each request with the next of its answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: bytes | Exception) -> None:
        self.asked: list[str] = []
        self.answers = list(answers)
        monkeypatch.setattr("urllib.request.urlopen", self.open)

    def open(self, url: str, timeout: float) -> io.BytesIO:
        assert 0 < timeout < 120
        self.asked.append(url)
        answer = self.answers[len(self.asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)


def gone(code: int = 404) -> HTTPError:
    return HTTPError("url", code, "Not Found", None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [sachs._DISCRETE, sachs._CONTINUOUS])
def test_blocks_cover_the_file(name: str) -> None:
    conditions = [condition for condition, _ in sachs._BLOCKS[name]]
    assert len(set(conditions)) == 9
    total = sum(length for _, length in sachs._BLOCKS[name])
    assert total == {sachs._DISCRETE: 5400, sachs._CONTINUOUS: 7466}[name]


def test_a_given_folder_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    (tmp_path / NAME).write_bytes(CONTENT)
    rows = load_sachs(str(tmp_path))
    assert rows.columns == ["raf", "mek", "condition"]
    assert rows.row(0) == ("1", "2", "b2camp")
    assert rows.row(600) == ("1", "2", "cd3cd28")
    assert rows.row(-1) == ("3", "1", "ly294002")
    assert server.asked == []


def test_the_download_is_kept_whole(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, CONTENT)
    first = load_sachs()
    assert load_sachs().equals(first)
    assert len(server.asked) == 1
    assert [path.name for path in cache.iterdir()] == [NAME]
    assert (cache / NAME).read_bytes() == CONTENT


def test_the_second_address_is_tried(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, gone(), CONTENT)
    assert load_sachs().height == 5400
    assert "/a23adc34/" in server.asked[0]
    assert "/main/" in server.asked[1]
    assert (cache / NAME).is_file()


@pytest.mark.parametrize(
    "answers",
    [
        (URLError("no route"),),
        (TimeoutError("timed out"),),
        (ConnectionResetError(104, "reset"),),
        (IncompleteRead(b"raf"),),
        (gone(), gone()),
        (gone(500), URLError("no route")),
    ],
)
def test_out_of_reach(
    answers: tuple[Exception, ...], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch, *answers)
    with pytest.raises(DosiftError, match=r"could not be downloaded") as caught:
        load_sachs()
    for needed in (sachs._URL.format(name=NAME), NAME, "load_sachs(folder)", str(cache)):
        assert needed in str(caught.value)
    assert len(server.asked) == len(answers)
    assert not cache.exists()


def test_a_login_page_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, b"<html>please log in</html>")
    with pytest.raises(InputError, match=r"SHA-256 .* nothing was kept"):
        load_sachs()
    assert not cache.exists()


def test_a_damaged_file_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch)
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match="delete it and fetch it again") as caught:
        load_sachs()
    assert caught.value.path == str(cache / NAME)


def test_a_cache_that_cannot_be_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, CONTENT)
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert load_sachs().height == 5400


def test_an_interrupted_write_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Server(monkeypatch, CONTENT)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    assert load_sachs().height == 5400
    assert list(cache.iterdir()) == []


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=f"does not hold {NAME}; fetch it from https://"):
            load_sachs(folder)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOSIFT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert sachs._cache_folder() == Path("/x/dosift")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert sachs._cache_folder() == Path("/h/.cache/dosift")
    monkeypatch.setenv("DOSIFT_DATA", "~/d")
    assert sachs._cache_folder() == Path("/h/d")


def test_the_graph_is_a_graph_of_eleven_proteins() -> None:
    nodes, edges = read_graph(sachs_graph())
    assert len(nodes) == 11
    assert len(set(edges)) == 17
