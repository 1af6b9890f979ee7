"""What all tests share."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

# How long an example takes tells of the machine, not of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _interrupts_arrive() -> None:
    """Hand Ctrl-C down to commands that a test starts and interrupts.

    A shell that starts the tests in the background lets them ignore it, and so does a command that
    ended within a test's own process; what they start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
