"""The command line: one module for each command, one place that turns errors into messages."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import warnings
from typing import Any, NoReturn

from dosift.utils.progress import tell_user

EXIT_INPUT, EXIT_UNTRUSTED, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 3, 130, 143


def main() -> NoReturn:
    """Run the command and exit with its status.

    0 done; 2 the input or the arguments are wrong; 3 the fit must not be trusted; 130
    interrupted; 143 terminated.
    """
    sys.unraisablehook = _keep_interrupt
    interrupted = threading.Event()

    def interrupt(number: int, frame: object) -> NoReturn:
        interrupted.set()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, interrupt)
    try:
        status = _run()
    except KeyboardInterrupt:
        interrupted.set()
        status = EXIT_INTERRUPTED
    except BaseException:
        # Compiled libraries turn an interrupt into errors of their own, of any type.
        if not interrupted.is_set():
            raise
        status = EXIT_INTERRUPTED
    # What is done is done: an interrupt while Python shuts down must not change the status.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if interrupted.is_set() and status:
        # Files and folders appear whole or not at all, so there is nothing to clean up here.
        tell_user("interrupted; no unfinished result is left")
        status = EXIT_INTERRUPTED
    sys.exit(status)


def _keep_interrupt(unraisable: sys.UnraisableHookArgs) -> None:
    """Interrupt again where Python swallowed an interrupt, in a callback of the interpreter."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        again = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _run() -> int:
    """Run the command and return its status."""
    # A scheduler's request to stop ends the run like any error, which removes unfinished output.
    signal.signal(signal.SIGTERM, _terminate)
    import typer

    from dosift.cli.app import app
    from dosift.errors import DosiftError
    from dosift.utils.atomic_write import reason_of

    warnings.showwarning = _show_notice
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(standalone_mode=False, prog_name="dosift")
        sys.stdout.flush()
    except DosiftError as error:
        status = _fail(str(error))
    except typer.Abort:
        raise KeyboardInterrupt from None
    except MemoryError:
        status = _fail("there is not enough memory for this; use fewer rows or variables")
    except _usage_error() as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "dosift"
        status = _fail(f"{error.format_message()}\nSee '{command} --help'.")
    except BrokenPipeError:
        # Whoever read our output has gone; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        status = _fail(f"{error.filename or 'the output'}: {reason_of(error)}")
    return status if isinstance(status, int) else 0


def _terminate(number: int, frame: object) -> NoReturn:
    sys.exit(EXIT_TERMINATED)


def _usage_error() -> type[Any]:
    """Class of wrong-argument errors; typer brings click along, or has it inside."""
    import typer

    return next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _fail(message: str) -> int:
    from dosift.cli.options import printable

    tell_user(f"error: {printable(message)}")
    return EXIT_INPUT


def _show_notice(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Show dosift's own warnings as one line, and keep those of libraries to themselves."""
    from dosift.cli.options import printable
    from dosift.errors import DosiftWarning

    if issubclass(category, DosiftWarning):
        tell_user(f"note: {printable(str(message))}")
