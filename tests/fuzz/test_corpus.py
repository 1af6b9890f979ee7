"""The kept inputs of the fuzzer, and a short run of it on changes of them."""

from __future__ import annotations

import random
import time
import tracemalloc
from pathlib import Path

import pytest
import targets

from dosift.errors import InputError
from dosift.io import read_network
from dosift.io.graph import read_graph
from dosift.learning.tables import learn_from_codes
from dosift.model import Network, Variable

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_kept_inputs_end_well_and_soon(path: Path) -> None:
    begin = time.process_time()
    targets.run(path.parent.name, path.read_bytes())
    assert time.process_time() - begin < 3


def test_every_target_has_inputs() -> None:
    assert {path.parent.name for path in INPUTS} == set(targets.TARGETS)


@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_changed_inputs_end_well(name: str) -> None:
    rng = random.Random(name)
    seeds = [path.read_bytes() for path in INPUTS if path.parent.name == name]
    seeds = [seed for seed in seeds if len(seed) < 5000]
    begin = time.process_time()
    for _ in range(400):
        targets.run(name, changed(rng, rng.choice(seeds), rng.choice(seeds)))
        if time.process_time() - begin > 1:
            break


def changed(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Change bytes a few times: delete, repeat, overwrite, or take from another input."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        length = rng.choice([0, 1, 1, 2, 5, 20])
        start = rng.randint(0, len(other))
        new = rng.choice(
            [b"", rng.randbytes(length), data[at : at + length] * 3, other[start : start + 20]]
        )
        data = data[:at] + new + data[at + rng.choice([0, length]) :]
    return data


@pytest.mark.parametrize("name", ["bif/claims-1e12-entries.bif", "xmlbif/claims-1e12-entries.xml"])
def test_huge_tables_are_refused_before_memory_is_taken(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="1,000,000,000,000 entries"):
            read_network(CORPUS / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_huge_tables_are_refused_when_learned_or_built() -> None:
    ten = tuple("0123456789")
    variables = [Variable(f"v{i}", ten) for i in range(12)]
    parents = [list(range(1, 12)), *([] for _ in range(11))]
    codes = targets.np.zeros((5, 12), dtype=targets.np.int8)
    with pytest.raises(InputError, match="1,000,000,000,000 entries"):
        learn_from_codes(variables, parents, codes, prior=1.0)
    many = [Variable(f"v{i}", ("0", "1")) for i in range(1200)]
    graph = [list(range(1, 1200)), *([] for _ in range(1199))]
    with pytest.raises(InputError, match="has shape"):  # 2 ** 1199 rows, more than a float holds
        Network(many, graph, [[[0.5, 0.5]]] * 1200)


def test_a_group_of_groups_is_refused_before_its_edges_are_made(tmp_path: Path) -> None:
    left, right = (" ".join(f"{side}{i}" for i in range(2000)) for side in "ab")
    (tmp_path / "g.dot").write_text(f"digraph {{ {{{left}}} -> {{{right}}} }}")
    with pytest.raises(InputError, match="more than 1,000,000 edges"):
        read_graph(tmp_path / "g.dot")


@pytest.mark.parametrize("name", ["net.bif", "net.xml", "g.csv", "g.dot", "mix.json"])
def test_files_without_end_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dosift.io.graph
    import dosift.model.mixture_file
    import dosift.utils.storage
    from dosift.model import Mixture

    monkeypatch.setattr(dosift.model.mixture_file, "MAX_FILE_BYTES", 2**20)
    monkeypatch.setattr(dosift.io.graph, "MAX_FILE_BYTES", 2**20)
    monkeypatch.setattr(dosift.utils.storage, "MAX_FILE_BYTES", 2**20)
    (tmp_path / name).symlink_to("/dev/zero")
    read = {"net": read_network, "g": read_graph, "mix": Mixture.read}[name.partition(".")[0]]
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read(tmp_path / name)


def test_integers_too_long_to_print_are_unknown_values() -> None:
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([10**5000, "x"], dtype=object)
    rows = pandas.DataFrame(dict.fromkeys(targets.HOSTILE.names, column))
    with pytest.raises(InputError, match="has the value '0x"):
        targets.load_rows(rows, targets.HOSTILE)
