"""The command in a process of its own, without the second that loading its libraries takes.

A server loads them once and forks for each command. What a test sees is what a user does: other
arguments, other folder, other streams, an exit status. Tests of how the command starts, of signals,
pipes and terminals start it themselves.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

#: What most commands load. Nothing of it computes anything here: polars starts its threads on first
#: use, and a child that is forked has none of its parent's.
LOADED = (
    "dosift.cli.app",
    "dosift.cli.estimates",
    "dosift.data.stream",
    "dosift.estimator",
    "dosift.identifiability",
    "dosift.inference.posterior",
    "dosift.io.bif",
    "dosift.learning.mixed",
    "dosift.resampling",
    "dosift.results.annotate",
    "dosift.results.report",
    "dosift.search.regrouping",
    "narwhals",
    "polars",
)
STREAMS = ("stdin", "stdout", "stderr")


def run(
    *arguments: object, cwd: Path | None = None, stdin: bytes = b"", timeout: int = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``dosift`` with these arguments."""
    given = list(map(str, arguments))
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: os.path.join(scratch, name) for name in STREAMS}
        Path(paths["stdin"]).write_bytes(stdin)
        status = _ask(
            {
                "arguments": given,
                "cwd": str(cwd or Path.cwd()),
                "environment": dict(os.environ),
                "timeout": timeout,
                **paths,
            }
        )
        out, err = (Path(paths[name]).read_bytes().decode() for name in STREAMS[1:])
    return subprocess.CompletedProcess(["dosift", *given], status, out, err)


def _ask(request: dict[str, object]) -> int:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    """Start the server, once in a process that runs tests."""
    command = [sys.executable, str(Path(__file__))]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    atexit.register(server.stdin.close)
    return server


def _serve() -> list[str] | None:
    """Answer until nobody asks; in a child that is to run a command, return its arguments."""
    for name in LOADED:
        importlib.import_module(name)
    _warm_up()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = (os.dup(number) for number in (0, 1))
    with open(requests, encoding="utf-8") as lines, open(replies, "w", encoding="utf-8") as out:
        for line in lines:
            request = json.loads(line)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of threads: those of polars wait for work
                child = os.fork()
            if not child:
                return _begin(request)
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), file=out, flush=True)
    return None


def _warm_up() -> None:
    """Let typer load what it needs when a command begins."""
    app = importlib.import_module("dosift.cli.app").app
    with contextlib.redirect_stdout(io.StringIO()):
        app(["--version"], standalone_mode=False)


def _begin(request: dict[str, object]) -> list[str]:
    """Make the child what a process that has just been started is."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(int(str(request["timeout"])))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    os.chdir(str(request["cwd"]))
    for number, name in enumerate(STREAMS):
        opened = os.open(
            str(request[name]), os.O_RDWR | os.O_CREAT | (os.O_APPEND if number else 0)
        )
        os.dup2(opened, number)
        os.close(opened)
    arguments = request["arguments"]
    assert isinstance(arguments, Sequence)
    return list(arguments)


if __name__ == "__main__":
    wanted = _serve()
    if wanted is not None:
        sys.argv = ["dosift", *wanted]
        runpy.run_module("dosift", run_name="__main__", alter_sys=True)
