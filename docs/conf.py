"""Settings of the documentation site.

    python -m sphinx -W --keep-going -b html docs docs/_build/html

Nothing here needs a network, and the pages that come out need none either.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from dosift import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "dosift"
author = "The dosift developers"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "command_reference",
    "mathml",
    "markdown_source",
    "self_contained",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "reference/generated/commands.md"]
nitpicky = True
# Options such as --force stay what they are.
smartquotes = False

# Markdown. The pages are also read on the repository's host, so this is mostly what works there.
myst_enable_extensions = ["dollarmath", "deflist", "fieldlist", "colon_fence"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

# Pages with a kernel in their head are run when the site is built; a cell that fails, fails it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_in_temp = True
nb_merge_streams = True
_profile = HERE / "_build" / "ipython"
os.environ["IPYTHONDIR"] = str(_profile)
_startup = _profile / "profile_default" / "startup"
_startup.mkdir(parents=True, exist_ok=True)
shutil.copy(HERE / "_extensions" / "notebook_startup.py", _startup)
# The commands in the pages are those of the environment that builds them, and print 100 columns.
os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
os.environ.update(COLUMNS="100", OPENBLAS_NUM_THREADS="1", NO_COLOR="1")

# The reference: types are in the docstrings, in words.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = "dosift"
html_static_path = ["_static"]
html_css_files = ["dosift.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
