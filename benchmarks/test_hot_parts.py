"""Time and peak memory of the hot parts, with pytest-benchmark.

python -m pip install -e '.[benchmark]'
python -m pytest benchmarks/test_hot_parts.py                 # all; the large search takes minutes
python -m pytest benchmarks/test_hot_parts.py -k small        # a few seconds
python -m pytest benchmarks/test_hot_parts.py --benchmark-autosave --benchmark-compare
"""

from __future__ import annotations

import pytest
from hot_parts import PARTS, SIZES, peak_memory, prepare

pytest.importorskip("pytest_benchmark")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", PARTS)
def test_hot_part(part: str, size: str, benchmark) -> None:
    work = prepare(part, size)
    benchmark.group = part
    benchmark.extra_info["peak_mib"] = round(peak_memory(work), 1)
    rounds = 1 if (part, size) == ("search", "large") else 3
    assert benchmark.pedantic(work, rounds=rounds, warmup_rounds=0) is not None
