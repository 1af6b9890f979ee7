"""Wheel and sdist, built and installed from scratch, and the locked environments."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, and a wheel that was built from it."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.mark.packaging
def test_the_sdist_holds_the_project_and_nothing_else(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    for wanted in ("LICENSE", "README.md", "pyproject.toml", "src/dosift/py.typed"):
        assert wanted in names
    assert any(name.startswith("tests/") for name in names)
    assert not [name for name in names if re.search(r"__pycache__|\.git/|\.hypothesis|\.so$", name)]


@pytest.mark.packaging
def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert wheel.name.endswith("-py3-none-any.whl")
    assert {name.partition("/")[0] for name in names} <= {"dosift"} | {
        name.partition("/")[0] for name in names if ".dist-info" in name
    }
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src/dosift").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert source == {name for name in names if name.startswith("dosift/")}


@pytest.mark.packaging
def test_the_wheel_works_in_an_environment_from_the_lock(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "fresh", with_pip=True)
    binaries = tmp_path / "fresh" / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [binaries / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    run(*pip, "--require-hashes", "-r", LOCKS / "runtime.lock")
    run(*pip, "--no-deps", wheel)
    run(binaries / "python", "-m", "pip", "check")
    assert "found" in run(binaries / "dosift", "demo", "-o", tmp_path / "out", cwd=tmp_path)
    assert (tmp_path / "out/report.html").is_file()
    where = run(binaries / "python", "-c", "import dosift; print(dosift.__file__)", cwd=tmp_path)
    assert str(tmp_path / "fresh") in where


def locked(name: str) -> dict[str, set[str]]:
    """Versions in a lock file by package; several where they depend on the Python."""
    versions: dict[str, set[str]] = {}
    text = (LOCKS / name).read_text(encoding="utf-8")
    for package, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE):
        versions.setdefault(package.lower(), set()).add(version)
    return versions


def required(project: dict[str, object], *extras: str) -> list[str]:
    """Requirements of the project, with those of its extras, and theirs."""
    out: list[str] = list(project["dependencies"])  # type: ignore[call-overload]
    for extra in extras:
        for line in project["optional-dependencies"][extra]:  # type: ignore[index]
            own = re.fullmatch(r"dosift\[(.*)\]", line)
            out += required(project, *own[1].split(",")) if own else [line]
    return out


@pytest.mark.parametrize(
    ("name", "extras"), [("runtime.lock", ()), ("test.lock", ("test", "lint"))]
)
def test_the_lock_is_that_of_the_project(name: str, extras: tuple[str, ...]) -> None:
    requirements = pytest.importorskip("packaging.requirements")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = locked(name)
    for line in required(project, *extras):
        wanted = requirements.Requirement(line)
        package = re.sub(r"[-_.]+", "-", wanted.name).lower()
        assert package in versions, f"{line}: run requirements/lock.sh"
        for version in versions[package]:
            assert wanted.specifier.contains(version), f"{line}: run requirements/lock.sh"


@pytest.mark.parametrize("name", ["runtime.lock", "test.lock"])
def test_every_locked_package_has_a_hash(name: str) -> None:
    text = (LOCKS / name).read_text(encoding="utf-8")
    entries = re.findall(r"^[A-Za-z0-9_.-]+==[^\\\n]*(?:\\\n[^\\\n]*)*", text, re.MULTILINE)
    assert len(entries) > 5
    assert all("--hash=sha256:" in entry for entry in entries)


def test_every_locked_package_has_its_licence_listed() -> None:
    page = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    for package in locked("test.lock"):
        assert f"\n| {package} |" in page, f"{package}: run requirements/licences.py"
