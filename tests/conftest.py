"""What all tests share."""

from __future__ import annotations

import signal

# Started in the background by a shell, the tests inherit that Ctrl-C is ignored, and so would
# every command that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
