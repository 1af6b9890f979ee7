"""The reference of the commands, written from the commands themselves before each build."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx

from dosift.cli.app import app as dosift_app

#: Where the page of the reference includes it from.
FILE = Path("reference") / "generated" / "commands.md"


def commands() -> str:
    """Return a section in Markdown for each command."""
    group: Any = typer.main.get_command(dosift_app)
    return "\n".join(_section(name, command) for name, command in group.commands.items())


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join([f"dosift {name}", *command.collect_usage_pieces(context)])
    records = [p.get_help_record(context) for p in command.params]
    lines = [f"`{spelling}`\n: {_plain(words)}\n" for spelling, words in filter(None, records)]
    return "\n\n".join(
        [f"## {name}", f"```text\n{usage}\n```", _prose(command.help or ""), "\n".join(lines)]
    )


def _prose(text: str) -> str:
    """Keep the paragraphs of a help text; those that show a command become code."""
    blocks = [block.strip("\n") for block in re.split(r"\n\s*\n", text.replace("\b", ""))]
    prose: list[str] = []
    for block in blocks:
        if not re.search(r"(^|  )dosift \w", block):
            prose.append(_plain(block))
        elif prose and prose[-1].startswith("```"):
            prose[-1] = prose[-1].removesuffix("\n```") + f"\n{block}\n```"
        else:
            prose.append(f"```text\n{block}\n```")
    return "\n\n".join(prose)


def _plain(text: str) -> str:
    """Keep Markdown from reading marks of its own into a help text."""
    return re.sub(r"([\\`*_<>\[\]{}$])", r"\\\1", text)


def _write(app: Sphinx) -> None:
    path = Path(app.srcdir) / FILE
    text = commands()
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the file before Sphinx looks for pages."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
