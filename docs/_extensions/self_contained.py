"""Fail the build if a page would load anything from elsewhere: the site works without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_ELSEWHERE = r"""["']?(?:https?:)?//[^"')\s>]+"""
#: What makes a browser load something: tags with a source, style sheets, and url(...) in styles.
_LOADS = [
    re.compile(rf"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\ssrc={_ELSEWHERE}"),
    re.compile(rf"<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preload|icon))[^>]*\shref={_ELSEWHERE}"),
    re.compile(rf"(?:@import\s+|url\(\s*){_ELSEWHERE}"),
]


def loads_from_elsewhere(text: str) -> list[str]:
    """Return the parts of a page or style sheet that load something from another host."""
    return [found for pattern in _LOADS for found in pattern.findall(text)]


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in {".html", ".css"}:
            found = loads_from_elsewhere(path.read_text(encoding="utf-8"))
            if found:
                raise ExtensionError(f"{path} loads from another host: {found[0]}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Check when all pages are written."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
