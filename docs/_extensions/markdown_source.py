"""The Markdown of every page beside its HTML, for llms.txt and whoever prefers plain text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for page in sorted(app.env.found_docs):
        source = Path(app.env.doc2path(page))
        if source.suffix == ".md":
            target = Path(app.outdir) / f"{page}.md"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_with_includes(source), encoding="utf-8")


def _with_includes(source: Path) -> str:
    """Return a page with the files that it includes."""
    return re.sub(
        r"^```\{include\} (\S+)\n.*?^```$",
        lambda found: (source.parent / found[1]).read_text(encoding="utf-8"),
        source.read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Copy when all pages are written."""
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
