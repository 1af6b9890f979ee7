"""The one way through the house: what was asked, and the rows, go in; what came of it comes out.

The estimator, the command, the bootstrap, held-out rows, stability and the report take a
:class:`Recipe` and a :class:`Fitted`, never each other's privates. What goes with what is
said in one table (:data:`~dosift.refusals.REFUSALS`).
"""

from dosift.pipeline.again import RowsAgain, fitted_batches, rows_again
from dosift.pipeline.elsewhere import found_again
from dosift.pipeline.find import find
from dosift.pipeline.fit import fit
from dosift.pipeline.fitted import Fitted
from dosift.pipeline.gather import gather, prepare
from dosift.pipeline.recipe import Recipe, features_of
from dosift.pipeline.setup import Gathered, Setup

__all__ = [
    "Fitted",
    "Gathered",
    "Recipe",
    "RowsAgain",
    "Setup",
    "features_of",
    "find",
    "fit",
    "fitted_batches",
    "found_again",
    "gather",
    "prepare",
    "rows_again",
]
