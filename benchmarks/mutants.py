"""Mutation testing: one-line changes of the source, each of which some quick test should notice.

``python benchmarks/mutants.py`` makes as many mutants as asked for (a comparison flipped, plus for
minus, another constant, a dropped statement, swapped arguments, least for greatest, rows for
columns), chosen by a seed and spread over the folders that compute. First all quick tests run once
without any mutant, and which of them run which line is written down. Then each mutant is put into a
copy of the tree, where the tests that run its line are run, in stages as long as they pass: as many
as take a few seconds; its doctests and the tests that import its file; the whole files of all tests
that run the line; and the tests that run commands, in processes of their own. Tests that fail
without any mutant are left out. ``--stages 2`` ends after the second of these stages, which is
quick: what survives then is not all that no test notices.

What is done is kept in a journal, and a run that was stopped goes on from there. Messages,
docstrings, type hints and constants of pure speed are not changed. Some survivors change nothing
that can be observed; that is for a reader to judge.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import itertools
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path("src/dosift")

#: Where mutants are made, and where the tests are that may import from there.
TESTS = {
    "search": ("search", "methods"),
    "likelihood": ("likelihood", "search"),
    "inference": ("inference",),
    "checks": ("checks", "test_estimator.py"),
    "graphs": ("graphs", "test_graphs_end_to_end.py"),
    "data": ("data", "methods/test_block_fit.py", "test_single_cell.py"),
    "methods": ("methods", "test_estimator.py"),
    "model": ("model", "learning"),
    "learning": ("learning", "data"),
    "chain": ("chain", "test_in_time_end_to_end.py"),
    "pipeline": ("test_pipeline_table.py", "test_estimator.py", "methods"),
}
#: What a test imports that runs commands, which nobody sees the lines of.
COMMAND = re.compile(r"^(from command import|import command)", re.MULTILINE)
#: Names of constants.
CONSTANT = re.compile(r"\b_?[A-Z][A-Z0-9_]+\b")
#: Seconds and tests of the first stage; and how long tests may take, in seconds and as a multiple
#: of what they take without a mutant.
FEW, LONGEST = (20.0, 400), (120.0, 4.0)
#: Lines above a mutant that are looked at where its own is in the middle of a statement.
ABOVE = 6
#: Left out: its tests need clusters, and are no quick ones.
LEFT_OUT = ("data/engines.py",)
#: Constants below are guards against a division by zero, and their size is of no account.
GUARD = 1e-9

#: Constants that only decide how fast something is.
SPEED = re.compile(r"BLOCK|CHUNK|BATCH|BUFFER|CACHE|BYTES|_ROWS$|MERGED|THREADS|TIMES|SECONDS")
#: Calls whose arguments are words, or that leave no trace in the answer.
SILENT = frozenset(
    {"warn", "progress", "tell", "say", "threadpool_limits", "errstate", "InputError", "getLogger"}
)

COMPARED = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
COMPUTED = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*"}
CALLED = {
    "min": "max", "argmin": "argmax", "minimum": "maximum", "all": "any", "nanmin": "nanmax",
    "zeros": "ones", "zeros_like": "ones_like", "floor": "ceil", "cumsum": "asarray",
    "flatnonzero": "argsort", "setdiff1d": "union1d", "log1p": "log", "sqrt": "abs",
}  # fmt: skip
CALLED |= {other: one for one, other in CALLED.items() if one in {
    "min", "argmin", "minimum", "all", "zeros", "floor"}}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A change of one place of one file."""

    file: str
    line: int
    kind: str
    begin: int
    end: int
    text: str

    @property
    def folder(self) -> str:
        return Path(self.file).relative_to(SOURCE).parts[0]

    def applied(self, source: bytes) -> bytes:
        return source[: self.begin] + self.text.encode() + source[self.end :]


class Finder(ast.NodeVisitor):
    """All places of a file where it can be changed."""

    def __init__(self, file: Path, source: bytes) -> None:
        self.file, self.source = file, source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Mutant] = []

    def at(self, node: Any) -> tuple[int, int]:
        begin = self.starts[node.lineno - 1] + node.col_offset
        return begin, self.starts[node.end_lineno - 1] + node.end_col_offset

    def code(self, node: Any) -> str:
        begin, end = self.at(node)
        return self.source[begin:end].decode()

    def add(self, kind: str, node: Any, text: str) -> None:
        begin, end = self.at(node)
        if self.source[begin:end].decode() != text:
            line = self.source.count(b"\n", 0, begin) + 1
            self.found.append(Mutant(str(self.file), line, kind, begin, end, text))

    def between(self, kind: str, left: Any, right: Any, old: str, new: str) -> None:
        """Change an operator, which has no place of its own in the tree."""
        begin, end = self.at(left)[1], self.at(right)[0]
        gap = self.source[begin:end].decode()
        if gap.count(old) != 1 or "\n" in gap or "#" in gap:
            return
        place = begin + len(gap[: gap.index(old)].encode())
        line = self.source.count(b"\n", 0, begin) + 1
        self.found.append(Mutant(str(self.file), line, kind, place, place + len(old), new))

    # What is left alone.

    def visit_Raise(self, node: ast.Raise) -> None:
        return

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        return

    def visit_Assert(self, node: ast.Assert) -> None:
        return

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        for statement in node.body:
            self.visit(statement)

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in self.code(node.test) or "progress" in self.code(node.test):
            return
        if node.test.lineno == node.test.end_lineno:
            self.add("condition", node.test, f"not ({self.code(node.test)})")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [t.id for t in ast.walk(node) if isinstance(t, ast.Name)]
        names = [n for n in names if n.isupper()]
        if any(SPEED.search(n) for n in names) or "__all__" in self.code(node.targets[0]):
            return
        if isinstance(node.targets[0], ast.Subscript):
            self.drop(node)
        self.generic_visit(node)

    # What is changed.

    def drop(self, node: ast.stmt) -> None:
        if node.lineno == node.end_lineno:
            self.add("statement dropped", node, "pass")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.drop(node)
        other = {
            ast.Add: ("+=", "-="),
            ast.Sub: ("-=", "+="),
            ast.Mult: ("*=", "/="),
            ast.Div: ("/=", "*="),
            ast.BitAnd: ("&=", "|="),
            ast.BitOr: ("|=", "&="),
        }
        pair = other.get(type(node.op))
        if pair is not None:
            self.between("operator", node.target, node.value, *pair)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call) and name_of(node.value) not in SILENT:
            self.drop(node)
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self.drop(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            symbol = next(s for s in SYMBOLS if isinstance(op, SYMBOLS[s]))
            self.between("comparison", left, right, symbol, COMPARED[type(op)])
            left = right
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in COMPUTED and not is_text(node):
            symbol = next(s for s in OPERATORS if isinstance(node.op, OPERATORS[s]))
            self.between("operator", node.left, node.right, symbol, COMPUTED[type(node.op)])
        elif isinstance(node.op, ast.BitAnd):
            self.between("operator", node.left, node.right, "&", "|")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        self.between("and, or", node.values[0], node.values[1], old, new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub | ast.Invert | ast.Not) and node.lineno == node.end_lineno:
            self.add("sign", node, f"({self.code(node.operand)})")
        self.visit(node.operand)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.add("constant", node, repr(not value))
        elif isinstance(value, int):
            self.add("constant", node, repr(value + 1) if value != 1 else "0")
        elif isinstance(value, float) and (value == 0 or value > GUARD):
            self.add("constant", node, repr(1.0 if value == 0 else value * 2.0))

    def visit_Call(self, node: ast.Call) -> None:
        name = name_of(node)
        if name in SILENT:
            return
        if name in CALLED:
            end = self.at(node.func)[1]
            begin = end - len(name)
            line = self.source.count(b"\n", 0, begin) + 1
            self.found.append(Mutant(str(self.file), line, "call", begin, end, CALLED[name]))
        plain = [a for a in node.args if not isinstance(a, ast.Starred)]
        if len(plain) >= 2 and len(plain) == len(node.args) and node.lineno == node.end_lineno:
            first, second = node.args[:2]
            if not isinstance(first, ast.Constant) and not isinstance(second, ast.Constant):
                begin, end = self.at(first)[0], self.at(second)[1]
                text = f"{self.code(second)}, {self.code(first)}"
                swapped = Mutant(
                    str(self.file), first.lineno, "arguments swapped", begin, end, text
                )
                if name not in {"isinstance", "partial", "dict"}:
                    self.found.append(swapped)
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg == "axis" and isinstance(node.value, ast.Constant):
            if node.value.value in (0, 1):
                self.add("axis", node.value, str(1 - node.value.value))
        elif node.arg not in {"dtype", "strict", "stacklevel", "order", "minlength"}:
            self.visit(node.value)


SYMBOLS: dict[str, type[ast.cmpop]] = {
    "<=": ast.LtE, "<": ast.Lt, ">=": ast.GtE, ">": ast.Gt, "==": ast.Eq, "!=": ast.NotEq,
    "is not": ast.IsNot, "is": ast.Is, "not in": ast.NotIn, "in": ast.In,
}  # fmt: skip
OPERATORS: dict[str, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "//": ast.FloorDiv, "*": ast.Mult, "/": ast.Div,
}  # fmt: skip


def name_of(call: ast.Call) -> str:
    """Last part of a function's name."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_text(node: ast.AST) -> bool:
    """Whether texts are put together."""
    return any(
        isinstance(part, ast.JoinedStr)
        or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in ast.walk(node)
    )


def places(root: Path) -> list[Mutant]:
    """List every mutant there could be."""
    found = []
    for folder in TESTS:
        path = root / SOURCE / folder
        files = [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))
        for file in files:
            if not file.is_file() or str(file).endswith(LEFT_OUT):
                continue
            source = file.read_bytes()
            finder = Finder(file.relative_to(root), source)
            finder.visit(ast.parse(source))
            found += finder.found
    return found


def compiles(mutant: Mutant) -> bool:
    try:
        ast.parse(mutant.applied((ROOT / mutant.file).read_bytes()))
    except SyntaxError:
        return False
    return True


def choose(found: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Choose mutants: folders by their size (none left out), kinds in turn, no line twice."""
    rng = random.Random(seed)
    sizes = Counter(m.folder for m in found)
    total = sum(sizes.values())
    kinds = sorted({m.kind for m in found})
    chosen: list[Mutant] = []
    lines: set[tuple[str, int]] = set()
    wanted = {f: max(round(count * n / total), min(3, count // len(sizes))) for f, n in
              sizes.items()}  # fmt: skip
    for folder in sorted(sizes):
        turn = rng.sample(kinds, len(kinds))
        pools = {k: [m for m in found if (m.folder, m.kind) == (folder, k)] for k in turn}
        for pool in pools.values():
            rng.shuffle(pool)
        number = 0
        while number < wanted[folder] and any(pools.values()):
            for kind in turn:
                while pools[kind]:
                    mutant = pools[kind].pop()
                    if (mutant.file, mutant.line) not in lines and compiles(mutant):
                        lines.add((mutant.file, mutant.line))
                        chosen.append(mutant)
                        number += 1
                        break
                if number >= wanted[folder]:
                    break
    rng.shuffle(chosen)
    return chosen[:count]


# Running the tests.

COPIED = (
    *("src", "tests", "docs", "examples", "benchmarks", "requirements", "data"),
    *("pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"),
)


def copy_tree(root: Path, folder: Path) -> Path:
    """Copy what the tests need; shared data are where they were, beside the tree."""
    tree = folder / "tree"
    tree.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "_build")
    for name in COPIED:
        path = root / name
        if path.is_dir():
            shutil.copytree(path, tree / name, ignore=ignored, symlinks=True)
        elif path.is_file():
            shutil.copy(path, tree / name)
    shared = root.parent / "shared"
    if shared.is_dir():
        (folder / "shared").symlink_to(shared)
    return tree


def pytest_of(tree: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the tests of a tree."""
    environment = os.environ | {
        "PYTHONPATH": str(tree / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def failures(output: str) -> list[str]:
    return re.findall(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", output, flags=re.MULTILINE)


def run_tests(
    tree: Path, tests: Sequence[str], deselected: list[str], timeout: float
) -> tuple[str, list[str]]:
    """Run tests until one fails; return killed, survived or timeout, and which one failed."""
    listed = tree.parent / "tests.txt"
    listed.write_text("\n".join(tests) + "\n")
    left_out = [p for name in deselected for p in ("--deselect", name)]
    process = pytest_of(tree, "--tb=no", "-rfE", "-x", *left_out, f"@{listed}")
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return "timeout", []
    finally:
        if process.poll() is None:  # out of time, or this process is being stopped
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    # 5: nothing was collected.
    return "survived" if process.returncode in (0, 5) else "killed", failures(output)


@dataclass(frozen=True)
class Quick:
    """The quick tests without any mutant."""

    #: By file and line, the tests that run it.
    by_line: dict[str, dict[int, frozenset[str]]]
    seconds: dict[str, float]
    failed: list[str]

    @classmethod
    def run(cls, tree: Path, folder: Path, processes: int) -> Quick:
        """Run all of them once, or read what was written down when they were."""
        folder.mkdir(exist_ok=True)
        data, words = folder / "coverage", folder / "tests.txt"
        if not words.exists():
            # Processes that are forked are left alone: their tests are run in any case.
            settings = folder / "settings.toml"
            settings.write_text(f'[run]\nsource = ["{SOURCE}"]\ndata_file = "{data.resolve()}"\n')
            measured = ("--cov", f"--cov-config={settings.resolve()}", "--cov-context=test")
            more = ("--cov-report=", "--durations=0", "-rfE", "--tb=no", "-n", str(processes))
            output, _ = pytest_of(tree, *measured, *more).communicate()
            words.write_text(output)
        output = words.read_text()
        seconds: dict[str, float] = defaultdict(float)
        for line in output.splitlines():
            found = re.match(r"([0-9.]+)s (?:call|setup|teardown) +(.*)$", line)
            if found:
                seconds[found[2]] += float(found[1])
        return cls(lines_of_tests(data), seconds, failures(output))

    def of_line(self, mutant: Mutant) -> list[str]:
        """Return the tests that run a mutant's line, the quickest first."""
        by_line = self.by_line.get(mutant.file, {})
        above = range(mutant.line, max(mutant.line - ABOVE, 0), -1)
        tests = next((by_line[k] for k in above if by_line.get(k)), frozenset())
        if not tests:  # a constant is read on import; its tests are those of lines that use it
            names = CONSTANT.findall(lines_of(mutant)[0].partition("=")[0])
            lines = (ROOT / mutant.file).read_text().splitlines()
            using = [k for k, line in enumerate(lines, 1) if any(one in line for one in names)]
            tests = frozenset[str]().union(*(by_line.get(k, frozenset()) for k in using))
        return sorted(tests, key=lambda name: (self.seconds.get(name, 0.0), name))

    def stages(self, mutant: Mutant) -> list[list[str]]:
        """Return tests and files of tests, in the order in which they are run."""
        tests = self.of_line(mutant)
        total = itertools.accumulate(self.seconds.get(name, 0.0) for name in tests)
        few = [name for name, s in zip(tests, total, strict=True) if s <= FEW[0]][: FEW[1]]
        files = sorted({name.split("::")[0] for name in tests}, key=self.of_file)
        every = sorted((ROOT / "tests").rglob("test_*.py"))
        commands = [str(f.relative_to(ROOT)) for f in every if COMMAND.search(f.read_text())]
        return [few, [mutant.file, *importing(mutant)], files, commands]

    def of_file(self, file: str) -> float:
        """Return the seconds that the tests of a file take."""
        return sum(s for name, s in self.seconds.items() if name.split("::")[0] == file)

    def timeout(self, tests: list[str]) -> float:
        """Return the seconds after which tests are given up."""
        own = sum(self.seconds.get(t, 0.0) if "::" in t else self.of_file(t) for t in tests)
        return LONGEST[0] + LONGEST[1] * own


def lines_of_tests(data: Path) -> dict[str, dict[int, frozenset[str]]]:
    """Read which tests run which lines; code that runs on import is of no test."""
    # A script beside this one is called coverage, too.
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != Path(__file__).resolve().parent]
    from coverage import CoverageData

    read = CoverageData(basename=str(data))
    read.read()
    found = {}
    for path in read.measured_files():
        place = path.rfind(str(SOURCE))
        by_line = read.contexts_by_lineno(path)
        found[path[place:]] = {
            line: frozenset(name.split("|")[0] for name in names if name)
            for line, names in by_line.items()
        }
    return found


class Journal:
    """A file of what is done, one JSON line each; it belongs to one source, seed and count."""

    def __init__(self, path: Path, mine: dict[str, Any]) -> None:
        self.path, self.lines = path, []
        if path.exists():
            self.lines = [json.loads(line) for line in path.read_text().splitlines()]
            if not self.lines or self.lines[0] != mine:
                sys.exit(f"{path} belongs to another source, seed or count; remove it")
        else:
            self.keep(mine)

    def keep(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def of(self, key: str) -> Iterator[dict[str, Any]]:
        return (line for line in self.lines if key in line)


def importing(mutant: Mutant) -> list[str]:
    """List the test files that import from a mutant's file."""
    module = ".".join(Path(mutant.file).relative_to(SOURCE.parent).with_suffix("").parts)
    paths = [ROOT / "tests" / name for name in TESTS[mutant.folder]]
    files = [f for path in paths for f in (path.rglob("test_*.py") if path.is_dir() else [path])]
    some = [f for f in files if f.exists() and f"from {module} import" in f.read_text()]
    return sorted(str(f.relative_to(ROOT)) for f in some)


def judge(tree: Path, mutant: Mutant, quick: Quick, n_stages: int) -> dict[str, Any]:
    """Put a mutant into a copy of the tree, run the tests, and take it out again."""
    path = tree / mutant.file
    source = path.read_bytes()
    path.write_bytes(mutant.applied(source))
    begin, outcome, by = time.perf_counter(), "survived", ""
    try:
        for tests in quick.stages(mutant)[:n_stages]:
            if not tests:
                continue
            outcome, failed = run_tests(tree, tests, quick.failed, quick.timeout(tests))
            if outcome != "survived":
                by = failed[0] if failed else ""
                break
    finally:
        path.write_bytes(source)
    return {"outcome": outcome, "by": by, "seconds": round(time.perf_counter() - begin, 1)}


def lines_of(mutant: Mutant) -> tuple[str, str]:
    """Return the line before and after."""
    source = (ROOT / mutant.file).read_bytes()
    after = mutant.applied(source)
    begin = source.rfind(b"\n", 0, mutant.begin) + 1

    def line(text: bytes, end: int) -> str:
        stop = text.find(b"\n", end)
        return text[begin : None if stop < 0 else stop].decode().strip()

    return line(source, mutant.end), line(after, mutant.begin + len(mutant.text.encode()))


def report(journal: Journal) -> None:
    """Print the counts, and each survivor with its line before and after."""
    done = list(journal.of("mutant"))
    by_folder: dict[str, Counter[str]] = {}
    for line in done:
        mutant = Mutant(**line["mutant"])
        by_folder.setdefault(mutant.folder, Counter())[line["outcome"]] += 1
    print(f"\n{'folder':14}{'mutants':>8}{'killed':>8}{'timeout':>9}{'survived':>10}")
    for folder, c in [*sorted(by_folder.items()), ("all", sum(by_folder.values(), Counter()))]:
        print(
            f"{folder:14}{c.total():8}{c['killed']:8}{c['timeout']:9}{c['survived']:10}"
            f"  {(c['killed'] + c['timeout']) / max(c.total(), 1):.0%}"
        )
    for line in done:
        if line["outcome"] == "survived":
            mutant = Mutant(**line["mutant"])
            before, after = lines_of(mutant)
            print(f"\n{mutant.file}:{mutant.line} ({mutant.kind})\n  - {before}\n  + {after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--stages", type=int, default=4, help="how many stages of tests to run")
    parser.add_argument("--journal", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    options = parser.parse_args()
    mutants = choose(places(ROOT), options.count, options.seed)
    if options.list:
        for mutant in mutants:
            before, after = lines_of(mutant)
            print(f"{mutant.file}:{mutant.line} ({mutant.kind})\n  - {before}\n  + {after}")
        return
    digest = hashlib.sha256()
    for file in sorted((ROOT / SOURCE).rglob("*.py")):
        digest.update(file.read_bytes())
    chosen = {"seed": options.seed, "count": options.count, "stages": options.stages}
    journal = Journal(options.journal, {"source": digest.hexdigest(), **chosen})
    done = {json.dumps(line["mutant"]) for line in journal.of("mutant")}
    missing = [m for m in mutants if json.dumps(asdict(m)) not in done]
    with tempfile.TemporaryDirectory() as folder:
        trees: queue.Queue[Path] = queue.Queue()
        for k in range(options.processes):
            own = Path(folder) / str(k)
            own.mkdir()
            trees.put(copy_tree(ROOT, own))
        first = trees.get()
        quick = Quick.run(first, options.journal.with_suffix(".quick"), options.processes)
        trees.put(first)

        def in_tree(mutant: Mutant) -> dict[str, Any]:
            tree = trees.get()
            try:
                return judge(tree, mutant, quick, options.stages)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(options.processes) as pool:
            for mutant, outcome in zip(missing, pool.map(in_tree, missing), strict=True):
                journal.keep({"mutant": asdict(mutant), **outcome})
                where = f"{mutant.file}:{mutant.line} ({mutant.kind})"
                print(f"{outcome['outcome']:9}{outcome['seconds']:7.0f} s  {where}", flush=True)
    report(journal)


if __name__ == "__main__":
    main()
