"""What the distribution of the rows can say about the mixture behind it.

Positivity of the network, exclusion of a mixture, whether a mixture is the only one that generates
its distribution, and if not, another one and the weights that each target can have.
"""

from dosift.identifiability.evidence import Evidence, VariableEvidence, row_evidence
from dosift.identifiability.excluded import Exclusion, VariableExclusion, exclusion
from dosift.identifiability.identification import Identification, TargetRange, identified
from dosift.identifiability.parsimony import parsimonious
from dosift.identifiability.summary import expected_size, is_unique, verdict
from dosift.identifiability.units import Ranks, UnitIdentification, units_identified
from dosift.identifiability.witnesses import Witness, difference, witness
from dosift.identifiability.zeros import (
    CriticalRows,
    Positivity,
    TableRow,
    VariableZeros,
    critical_rows,
    positivity,
)

__all__ = [
    "CriticalRows",
    "Evidence",
    "Exclusion",
    "Identification",
    "Positivity",
    "Ranks",
    "TableRow",
    "TargetRange",
    "UnitIdentification",
    "VariableEvidence",
    "VariableExclusion",
    "VariableZeros",
    "Witness",
    "critical_rows",
    "difference",
    "exclusion",
    "expected_size",
    "identified",
    "is_unique",
    "parsimonious",
    "positivity",
    "row_evidence",
    "units_identified",
    "verdict",
    "witness",
]
