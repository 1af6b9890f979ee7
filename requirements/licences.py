"""List the licences of everything that is locked, as the tables of docs/licences.md.

    python -m pip install --require-hashes -r requirements/test.lock
    python requirements/licences.py > docs/licences.md

Licences are what the installed packages say of themselves. Exits with status 1 if a package that
dosift itself needs has a licence that is not on the list of permissive ones.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
#: What may be needed by a package under the MIT licence without further thought.
PERMISSIVE = re.compile(
    r"^(0BSD|Apache|BSD|CC0|HPND|ISC|MIT|PSF|Python Software|(The )?Unlicense|Zlib)",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"\s+(?:AND|OR|WITH)\s+|[();,]|\s*/\s*", re.IGNORECASE)


def locked(name: str) -> dict[str, str]:
    """Return the versions in a lock file by package."""
    text = (HERE / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE))


def licence(package: str) -> str:
    """Return what an installed package says of its licence, in one line."""
    try:
        about = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return "not installed on this platform"
    stated = about.get("License-Expression") or ""
    if not stated:
        classifiers = [c for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
        names = [c.rpartition(" :: ")[2] for c in classifiers]
        stated = ", ".join(name for name in names if name != "OSI Approved")
    first = (about.get("License") or "").strip().splitlines()
    return stated or (first[0][:60] if first else "not stated")


def is_permissive(text: str) -> bool:
    """Whether every part of a licence's name is on the list."""
    parts = [part.strip() for part in _SPLIT.split(text) if part.strip()]
    return bool(parts) and all(PERMISSIVE.match(part) for part in parts)


def table(packages: dict[str, str]) -> list[str]:
    """Return the lines of a table."""
    lines = ["| package | version | licence |", "|---|---|---|"]
    lines += [f"| {name} | {packages[name]} | {licence(name)} |" for name in sorted(packages)]
    return lines


def main() -> None:
    """Print the page."""
    runtime, tests = locked("runtime.lock"), locked("test.lock")
    unclear = [
        name
        for name in sorted(runtime)
        if not is_permissive(licence(name)) and "not installed" not in licence(name)
    ]
    others = {name: version for name, version in tests.items() if name not in runtime}
    copyleft = [name for name in sorted(others) if "GPL" in licence(name)]
    print("# Licences\n")
    print("dosift is under the MIT licence and contains no code of others. This page is made by")
    print("`python requirements/licences.py > docs/licences.md`; licences are what the packages")
    print("say of themselves.\n")
    print("## What dosift needs\n")
    print("\n".join(table(runtime)))
    verdict = ", ".join(unclear) if unclear else "none"
    print(f"\nNot on the list of permissive licences: {verdict}.\n")
    print("## What tests and optional parts need besides\n")
    print("Installed beside dosift by those who ask for it, and not distributed with it.\n")
    print("\n".join(table(others)))
    if copyleft:
        print(f"\nUnder a licence of the GPL family: {', '.join(copyleft)}.")
    sys.exit(1 if unclear else 0)


if __name__ == "__main__":
    main()
