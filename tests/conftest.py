"""What all tests share."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import settings

# How long an example takes tells of the machine, not of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Commands that tests start read compiled code, also where Python is to leave none beside sources.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None) and "PYTHONPYCACHEPREFIX" not in os.environ:
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="dosift-tests-")
    atexit.register(shutil.rmtree, os.environ["PYTHONPYCACHEPREFIX"], ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Let one process of xdist run a file: its tests share fits, which would be made in each."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadfile"
        # By itself it would begin with the files of most tests: those of few long ones would be
        # left for the end, where one process does them while the others wait.
        config.option.loadscopereorder = False


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lives as long as the tests do: it saves a tenth."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _interrupts_arrive() -> None:
    """Hand Ctrl-C down to commands that a test starts and interrupts.

    A shell that starts the tests in the background lets them ignore it, and so does a command that
    ended within a test's own process; what they start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
