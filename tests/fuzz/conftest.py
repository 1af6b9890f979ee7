from __future__ import annotations

import sys
from pathlib import Path

# The fuzzer runs outside pytest and finds its targets beside itself; so do the tests.
sys.path.insert(0, str(Path(__file__).parent))
