"""The end of a fit on a terminal: a table that fits, and what to do next."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rich.console

import dosift
from dosift.cli.summary import next_steps, print_summary
from dosift.io import write_network

PLAIN = rich.console.Console


def content(n: int, trusted: bool = True) -> dict[str, Any]:
    line = {"ci_low": 0.01, "ci_high": 0.03, "rows": 20.0, "status": "found"}
    return {
        "reasons": [] if trusted else ["The rows object."],
        "trusted": trusted,
        "level": 0.95,
        "diagnostics": {"n_rows": 1000.0},
        "components": [
            {"target": f"do(a_rather_long_name={k}, another_name=yes)", "weight": 1 / n, **line}
            for k in range(n)
        ],
    }


def printed(
    monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], width: int, terminal: bool
) -> str:
    stream = io.StringIO()

    def console(**options: Any) -> rich.console.Console:
        return PLAIN(
            file=stream, width=width, force_terminal=terminal, color_system=None, **options
        )

    monkeypatch.setattr("rich.console.Console", console)
    print_summary(result, Path("out"))
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


@pytest.mark.parametrize("width", [30, 40, 56, 66, 80, 200])
def test_the_table_fits_the_terminal_and_loses_no_letter(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    text = printed(monkeypatch, content(3), width, terminal=False)
    table = [line for line in text.splitlines() if line.startswith(("│", "┃", "┏", "└", "┡"))]
    assert table
    assert max(map(len, table)) <= width
    first = "".join(line.split("│")[1].strip() for line in table if line.startswith("│"))
    for k in range(3):
        assert f"do(a_rather_long_name={k},another_name=yes)" in first.replace(" ", "")
    assert ("95 % interval" in text) == (width >= 56)
    assert "0.333" in text


def test_many_components_are_cut_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, content(50), 100, terminal=False)
    assert text.count("another_name=yes") == 20
    assert "... and 30 more, with 0.600 of the weight: out/components.csv" in text
    assert "more, with" not in printed(monkeypatch, content(20), 100, terminal=False)


def test_what_to_do_next_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Next:" not in printed(monkeypatch, content(2), 100, terminal=False)
    assert "dosift assign out NEW_ROWS.csv" in printed(monkeypatch, content(2), 100, terminal=True)
    objected = printed(monkeypatch, content(2, trusted=False), 100, terminal=True)
    assert "Do not trust this fit. The rows object." in objected
    assert "--interventions any" in objected
    assert next_steps(False, Path("out")) != next_steps(True, Path("out"))


def test_names_cannot_speak_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    result = content(1)
    result["components"][0]["target"] = "do(\x1b[2Ja=[bold]1)"
    text = printed(monkeypatch, result, 100, terminal=False)
    assert "\x1b" not in text
    assert "[bold]1" in text


def misfit(folder: Path) -> list[str]:
    """Command for rows that a network without the edge which made them cannot describe."""
    tables = {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.2, 0.8]]}
    truth = dosift.Network.from_tables({"a": "01", "b": "01"}, {"b": "a"}, tables)
    wrong = dosift.Network.from_tables(
        {"a": "01", "b": "01", "c": "01"},
        {"c": "b"},
        {"a": [0.5, 0.5], "b": [0.55, 0.45], "c": [[0.7, 0.3], [0.4, 0.6]]},
    )
    write_network(wrong, folder / "wrong.bif")
    rows = dosift.simulate(truth, dosift.Mixture({dosift.do(): 1.0}), 4000, random_state=0)
    rows.with_columns(c="a").write_csv(folder / "rows.csv")
    files = [str(folder / "wrong.bif"), str(folder / "rows.csv"), "-o", str(folder / "out")]
    return [sys.executable, "-m", "dosift", "fit", *files, "--max-size", "1"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_what_the_rows_object_is_said_once_on_a_screen_and_on_both_streams(tmp_path: Path) -> None:
    import pty

    command = misfit(tmp_path)
    apart = subprocess.run(command, capture_output=True, text=True, check=False)
    assert apart.returncode == 3
    assert "note: " in apart.stderr
    assert "Do not trust this fit." in apart.stdout
    sentence = re.search(r"does not\s+describe", apart.stderr)
    assert sentence is not None
    outer, inner = pty.openpty()
    process = subprocess.Popen([*command, "--force"], stdout=inner, stderr=inner)
    os.close(inner)
    shown = b""
    try:
        while part := os.read(outer, 2**16):
            shown += part
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(outer)
    assert process.wait() == 3
    assert len(re.findall(rb"does\s+not\s+describe", shown)) == 1


def with_graph(trusted: bool = True, **found: Any) -> dict[str, Any]:
    edges = [
        {"parent": "V1", "child": "V2", "probability": 1.0, "status": "kept"},
        {"parent": "V4", "child": "V3", "probability": 1.0, "status": "added"},
        {"parent": "[b]", "child": "\x1b[2J", "probability": 0.5, "status": "open"},
    ]
    return content(2, trusted) | {"graph_found": {"edges": edges, **found}}


def test_what_became_of_the_graph_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, with_graph(notices=["A hidden common cause."]), 200, terminal=False)
    assert "Graph: 1 edge kept, 1 added (V4 -> V3), 1 open ([b] - " in text
    assert "\x1b" not in text
    assert "; see out/graph.csv\nA hidden common cause.\n" in text
    assert "Graph" not in printed(monkeypatch, content(2), 200, terminal=False)


def test_what_rows_ask_of_a_graph_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [{"kind": "add", "parent": "V2", "child": "V3", "gain": 20.0}]
    found = {"fixed": True, "asked": asked, "change": 0.01, "objects": False}
    text = printed(monkeypatch, with_graph(**found), 200, terminal=True)
    assert "add V2 -> V3 (worth 20 nats). With that, 1 % of the rows" in text
    assert "--edges repair" not in text
    found |= {"change": 0.3, "objects": True}
    text = printed(monkeypatch, with_graph(trusted=False, **found), 200, terminal=True)
    assert "add V2 -> V3" not in text  # a reason, which stands above
    assert "--edges repair" in text
    assert "--interventions any" not in text
