"""Coverage-guided fuzzing of everything that reads what a stranger may have written.

    python -m pip install atheris
    python tests/fuzz/campaign.py --seconds 220            # all targets, one after the other
    python tests/fuzz/campaign.py --seconds 20 bif dot     # some of them

Prints a table of executions, coverage and crashes; inputs that crash a target are written to
``--crashes``. Keep them in ``tests/fuzz/corpus/TARGET/``: ``test_corpus.py`` runs them for ever.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
#: Bounds on one input: seconds, mebibytes of memory, bytes of input.
_SECONDS, _MEMORY, _LENGTH = 5, 1500, 4096
_WORDS = {
    "bif": "network variable type discrete probability table default property { } ( ) [ ] | ; 1e-9",
    "xmlbif": "<BIF> <NETWORK> <NAME> <VARIABLE> <OUTCOME> <DEFINITION> <FOR> <GIVEN> <TABLE> "
    "<PROPERTY> </ TYPE= <!DOCTYPE <!ENTITY <![CDATA[ ]]> &#x41; encoding=",
    "edges": "parent child parent,child",
    "dot": "digraph graph subgraph strict node edge -> -- { } [ ] /* */ //",
    "graphml": "<graphml> <graph> <node> <edge> <key> <data> edgedefault= directed id= source= "
    "target= for= attr.name= attr.type= <hyperedge> <port> <default> int boolean",
    "mixture": 'components do weight "do": "weight": {} [] null true NaN Infinity 1e400 -0',
    "target": "do( = , ) \\u0041 \\ud800",
    "rows": "a =b True nan 1.0 <b>",
    "values": "",
}


def main() -> None:
    """Run the campaign, one process for each target."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("targets", nargs="*", default=list(_WORDS))
    parser.add_argument("--seconds", type=int, default=220)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        fuzz(arguments.targets[0], arguments)
        return
    print("  target  seconds  executions  edges  kept  slowest      peak ended")
    failed = 0
    for name in arguments.targets:
        command = [sys.executable, __file__, "--one", name, "--seed", str(arguments.seed)]
        command += ["--seconds", str(arguments.seconds), "--crashes", str(arguments.crashes)]
        begin = time.monotonic()
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace"
        )
        report(name, done, time.monotonic() - begin)
        failed += done.returncode != 0
    sys.exit(1 if failed else 0)


def report(name: str, done: subprocess.CompletedProcess[str], seconds: float) -> None:
    """Print one line of figures, and why a target stopped before its time."""
    log = done.stderr
    executions = _last(r"stat::number_of_executed_units:\s*(\d+)", log) or _last(r"#(\d+)\t", log)
    edges, kept = _last(r"cov: (\d+)", log), _last(r"corp: (\d+)", log)
    slowest = _last(r"slowest_unit_time_sec:\s*(\d+)", log) + " s"
    peak = _last(r"peak_rss_mb:\s*(\d+)", log) + " MiB"
    ended = "well" if done.returncode == 0 else f"with status {done.returncode}"
    figures = f"{executions:>11} {edges:>6} {kept:>5} {slowest:>8} {peak:>9}"
    print(f"{name:>8} {seconds:8.0f} {figures} {ended}", flush=True)
    if done.returncode:
        print("\n".join(log.splitlines()[-60:]), flush=True)


def _last(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    return found[-1] if found else "-"


def _quoted(word: str) -> str:
    """Write a word as a line of libFuzzer's dictionaries."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"\n'


def fuzz(name: str, arguments: argparse.Namespace) -> None:
    """Fuzz one target; does not return."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["dosift", "networkx.readwrite.graphml"]):
        if name == "graphml":
            import networkx.readwrite.graphml  # noqa: F401
        import targets

    with tempfile.TemporaryDirectory() as found:
        words = Path(found) / "words"
        words.write_text("".join(map(_quoted, _WORDS[name].split())))
        grown = Path(found) / "grown"
        grown.mkdir()
        crashes = arguments.crashes / name
        crashes.mkdir(parents=True, exist_ok=True)
        options = [
            f"-max_total_time={arguments.seconds}",
            f"-timeout={_SECONDS}",
            f"-rss_limit_mb={_MEMORY}",
            f"-max_len={_LENGTH}",
            f"-seed={arguments.seed}",
            f"-artifact_prefix={crashes}/",
            *([f"-dict={words}"] if _WORDS[name] else []),
            "-print_final_stats=1",
        ]
        folders = [str(grown), str(HERE / "corpus" / name)]
        atheris.Setup([sys.argv[0], *options, *folders], lambda data: targets.run(name, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
