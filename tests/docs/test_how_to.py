"""The code in the how-to guides runs, from top to bottom of each page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = [
    "believe",
    "choose-states",
    "faults-that-last",
    "get-a-network",
    "learn-the-network",
    "measurements",
    "missing-values",
    "prior-knowledge",
    "read-the-report",
    "scikit-learn",
    "single-cell",
    "soft-interventions",
    "when-it-fails",
    "which-method",
    "wrong-graphs",
]
FOLDER = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.KindsWarning")
@pytest.mark.parametrize("page", PAGES)
def test_code_runs(
    page: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    for library in {
        "get-a-network": ["pgmpy", "pyagrum"],
        "learn-the-network": ["pyagrum"],
        "single-cell": ["anndata"],
        "read-the-report": ["matplotlib"],
    }.get(page, []):
        pytest.importorskip(library)
    text = (FOLDER / f"{page}.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    namespace: dict[str, object] = {"__name__": page}
    for block in blocks:
        exec(compile(block, f"{page}.md", "exec"), namespace)
    assert capsys.readouterr().out
