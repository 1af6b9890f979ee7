"""Run by IPython before the first cell of every notebook of the site (see conf.py).

So that pages hold what a reader needs, and no set-up of how output looks.
"""

from __future__ import annotations

import os
import subprocess

import matplotlib_inline.backend_inline
import polars as pl
from IPython.core.getipython import get_ipython


def _bash(line: str, cell: str) -> None:
    """Run a cell as ``%%bash`` does, and print its output whole, without colours."""
    environment = {k: v for k, v in os.environ.items() if k not in {"FORCE_COLOR", "CLICOLOR"}}
    done = subprocess.run(
        ["bash", "-c", cell], env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout, end="")
    if done.returncode and "--no-raise-error" not in line:
        raise RuntimeError(done.stderr)


get_ipython().register_magic_function(_bash, "cell", "bash")
matplotlib_inline.backend_inline.set_matplotlib_formats("svg")
pl.Config(
    float_precision=3,
    tbl_hide_dataframe_shape=True,
    tbl_hide_column_data_types=True,
    tbl_cols=12,
    tbl_rows=40,
)
