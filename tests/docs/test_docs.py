"""The pages of the documentation: links lead somewhere, lists of pages and names are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dosift
from dosift import datasets, errors, identifiability, structure, study

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LLMS = DOCS / "llms.txt"
#: Not pages: what a build makes.
_MADE = ("_build", "generated")

if not DOCS.is_dir():
    pytest.skip("docs/ is not there", allow_module_level=True)


def pages() -> list[Path]:
    found = [p for p in DOCS.rglob("*.md") if not any(part in _MADE for part in p.parts)]
    return sorted(found)


def prose(text: str) -> str:
    """A page without its code, in which a bracket is no link."""
    text = re.sub(r"^( *)(`{3,}|~{3,}).*?^\1\2`*$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def links(text: str) -> list[str]:
    return re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", prose(text))


def slug(heading: str) -> str:
    """The anchor that the repository's host and MyST give a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return words.strip().replace(" ", "-")


def anchors(text: str) -> set[str]:
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return {slug(line) for line in re.findall(r"^#+ +(.+)$", without_code, flags=re.MULTILINE)}


def broken(page: Path) -> list[str]:
    """Links of a page to files and headings that are not there."""
    text = page.read_text(encoding="utf-8")
    wrong = []
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page if not name else page.parent / name
        if not target.exists() or (
            anchor and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", LLMS, *pages()],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_the_check_of_links_finds_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One heading, `two`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#one-heading-two) [b](other.md#three) [c](none.md) `[d](x.md)`\n"
        "```\n[e](y.md)\n```\n[f](https://example.org) [g](#here)\n\n# Here\n"
    )
    assert broken(page) == ["other.md#three", "none.md"]


def toctrees(page: Path) -> list[Path]:
    blocks = re.findall(
        r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    entries = [e for block in blocks for e in block.split() if not e.startswith(":")]
    return [page.parent / f"{e}.md" for e in entries if (page.parent / f"{e}.md").exists()]


def test_every_page_is_reached_from_the_index() -> None:
    reached, todo = set(), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        todo += [p for p in toctrees(page) if p not in reached]
    assert set(pages()) - reached == set()


def test_llms_txt_lists_every_page_once() -> None:
    listed = [DOCS / link for link in links(LLMS.read_text(encoding="utf-8"))]
    assert len(listed) == len(set(listed))
    # Decisions have a list of their own.
    wanted = {p for p in pages() if p.parent.name != "decisions" or p.name == "index.md"}
    assert set(listed) == wanted


def test_llms_txt_shows_what_there_is() -> None:
    text = LLMS.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    compile(code, "llms.txt", "exec")
    for path in set(re.findall(r"\bdosift((?:\.\w+)+)", code)):
        found: object = dosift
        for name in path.split(".")[1:]:
            found = getattr(found, name)
    names = set(re.findall(r"^model\.(\w+)", code, re.MULTILINE))
    data = datasets.load_incident()
    assert names <= set(dir(dosift.InterventionMixture(data.network).fit(data.rows)))


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([A-Za-z_.]+)$", text, re.MULTILINE))
    assert set(dosift.__all__) - listed - {"__version__"} == set()
    for module in (datasets, identifiability, structure, study):
        short = module.__name__.removeprefix("dosift.")
        names = {name for name in module.__all__ if callable(getattr(module, name))}
        assert {f"{short}.{name}" for name in names} - listed == set()
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, (Exception, Warning))
    }
    assert {n for n in raised if f"errors.{n}" not in listed and n not in listed} == set()


def test_code_of_notebooks_fits_the_page() -> None:
    """Longer lines would be cut off at the width of the site's column."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```\{code-cell\}.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            assert max(map(len, block.splitlines())) <= 88, page.name


def test_what_a_page_loads_from_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    from self_contained import loads_from_elsewhere

    for text in (
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        "@font-face { src: url('https://fonts.example/x.woff2') }",
    ):
        assert len(loads_from_elsewhere(text)) == 1
    for text in (
        '<a href="https://example.org">',
        '<script src="_static/x.js"></script>',
        "url(data:image/svg+xml;base64,AAAA)",
    ):
        assert loads_from_elsewhere(text) == []


def test_the_reference_of_the_commands_has_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    from command_reference import commands

    text = commands()
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == [
        "demo",
        "fit",
        "discretize",
        "simulate",
        "assign",
        "check",
        "evaluate",
        "report",
        "study",
    ]
    for option in ("--non-manipulable VARIABLE", "--interventions", "--held-out FOLDS"):
        assert option in text
