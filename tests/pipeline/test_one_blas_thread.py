"""Linear algebra in one thread, and in as many as before afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

import scipy.linalg  # noqa: F401  # brings a library of its own, maybe
from threadpoolctl import threadpool_info, threadpool_limits

from dosift.utils.threads import one_blas_thread


def blas_threads() -> list[int]:
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def test_what_scipy_brings_is_found_though_it_was_not_loaded() -> None:
    """In a process that has used nothing of it before."""
    code = """
import sys
from dosift.utils.threads import one_blas_thread
assert "scipy.linalg" not in sys.modules
with one_blas_thread():
    import scipy.linalg.lapack
    from threadpoolctl import threadpool_info
    print({one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"})
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{1}"


def test_threads_are_one_inside_and_as_before_outside() -> None:
    with threadpool_limits(2):
        before = blas_threads()
        with one_blas_thread():
            assert set(blas_threads()) == {1}
            with one_blas_thread():
                assert set(blas_threads()) == {1}
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
