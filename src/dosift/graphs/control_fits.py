"""What control rows alone make of families of numbers, counts and states.

With normal noise a regression follows in closed form from sums of products of its columns, which
are those of all control rows, taken once. Whether noise is normal is seen at a glance; where it is
not, the regression is learned with all that the rows ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaincc

from dosift.graphs.family import nearest
from dosift.learning.mechanisms import relearned_mechanism
from dosift.learning.regressions import has_plain_noise
from dosift.model.arrays import Bools, Floats
from dosift.model.features import Feature, Plain, design
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import Mechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import LEAST_SD, Noise

Key = tuple[int, tuple[int, ...]]

#: Share of the largest sum of squares that is added to all, so that the inverse is one.
_RIDGE = 1e-10
LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Start:
    """What control rows make of a family.

    Attributes
    ----------
    mechanism : Mechanism
    features : tuple of Feature or None
        What the mean is linear in, where rows with normal noise teach it in closed form.
    products : ndarray, shape (2 + n_features, 2 + n_features)
        Sums over control rows of products of intercept, features and own value.
    """

    mechanism: Mechanism
    features: tuple[Feature, ...] | None = None
    products: Floats | None = None


class ControlFits:
    """Families of any variables by control rows alone.

    Parameters
    ----------
    network : MechanismNetwork
        Learned; it remembers its control rows. Its graph is not looked at.
    """

    def __init__(self, network: MechanismNetwork) -> None:
        assert network.control is not None
        self.like = network
        self.control: ControlRows = network.control
        self.n_control = float(network.control.weights.sum())
        own = with_intercept(network.control.values)
        self._products = own.T @ (own * network.control.weights[:, None])
        self._starts: dict[Key, Start] = {}
        self._mechanisms: dict[Key, Mechanism] = {}

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return self.like.n_variables

    def n_free(self, i: int, parents: tuple[int, ...]) -> int:
        """Count the free parameters of a family."""
        return self.start(i, parents).mechanism.n_free

    def control_score(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family by control rows alone."""
        return self._of_control(i, parents) - 0.5 * self.n_free(i, parents) * float(
            np.log(max(self.n_control, 2.0))
        )

    def _of_control(self, i: int, parents: tuple[int, ...]) -> float:
        """Log-likelihood of control rows under what they ask for."""
        start = self.start(i, parents)
        if start.products is not None:
            _, sd = line_of(start.products, self.n_control)
            return -0.5 * self.n_control * (LOG_2PI + 2.0 * float(np.log(sd)) + 1.0)
        control = self.control
        return float(control.weights @ start.mechanism.log_density(control.values))

    def dependence(self, i: int, j: int, parents: tuple[int, ...]) -> float:
        """Test independence given parents by the likelihood ratio of two regressions.

        Of a number on the other variable if one of the two is a number: then with normal noise,
        which for plain parents is the test of the partial correlation.
        """
        if self.like.variables[i].kind != "continuous":
            i, j = j, i
        both = tuple(sorted({*parents, j}))
        if self.like.variables[i].kind == "continuous":
            less, more = (self._sums_of_squares(i, own) for own in (parents, both))
            freedom = more[1] - less[1]
            # Bartlett's correction: exact enough with few rows.
            number = self.n_control - 0.5 * (less[1] + more[1] + 1.0)
            statistic = max(number, 0.0) * float(np.log(less[0] / more[0]))
        else:
            freedom = self.n_free(i, both) - self.n_free(i, parents)
            statistic = 2.0 * (self._of_control(i, both) - self._of_control(i, parents))
        if freedom <= 0:
            return 1.0
        return float(gammaincc(freedom / 2, max(statistic, 0.0) / 2))

    def _sums_of_squares(self, i: int, parents: tuple[int, ...]) -> tuple[float, int]:
        """Residual variance of a number on parents, and how many coefficients that takes."""
        features = self._features(i, parents)
        mechanism = LinearMechanism.untaught(i, parents, features)
        _, sd = line_of(self.control_products(mechanism, features), self.n_control)
        return sd**2, len(features)

    def dependent_pairs(self, n_partners: int) -> Bools:
        """Tell dependent pairs by the largest correlation, of states by that of an indicator."""
        columns, of = [], []
        for i, variable in enumerate(self.like.variables):
            column = self.control.values[:, i]
            if variable.kind == "discrete":
                codes = range(1, len(variable.states))
                columns += [(column == k).astype(np.float64) for k in codes]
                of += [i] * len(codes)
            else:
                columns.append(np.log1p(column) if variable.kind == "count" else column)
                of.append(i)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.corrcoef(np.stack(columns)) if len(of) > 1 else np.ones((1, 1))
        found = np.abs(np.nan_to_num(found))
        strength = np.zeros((self.n_variables, self.n_variables))
        np.maximum.at(strength, (np.array(of)[:, None], np.array(of)[None, :]), found)
        return nearest(strength, n_partners)

    def mechanism(self, i: int, parents: tuple[int, ...]) -> Mechanism:
        """Learn a mechanism from control rows with all that they ask for, once.

        Parameters
        ----------
        i : int
        parents : tuple of int

        Returns
        -------
        Mechanism
        """
        key = (i, parents)
        if key not in self._mechanisms:
            self._mechanisms[key] = relearned_mechanism(self.like, i, parents)
        return self._mechanisms[key]

    def start(self, i: int, parents: tuple[int, ...]) -> Start:
        """Learn a family from control rows, once."""
        key = (i, parents)
        if key not in self._starts:
            self._starts[key] = self._started(i, parents)
        return self._starts[key]

    def _started(self, i: int, parents: tuple[int, ...]) -> Start:
        if self.like.variables[i].kind != "continuous":
            return Start(without_error(self.mechanism(i, parents)))
        features = self._features(i, parents)
        mechanism = LinearMechanism.untaught(i, parents, features)
        products = self.control_products(mechanism, features)
        line, sd = line_of(products, self.n_control)
        plain = replace(mechanism, coefficients=-line[:-1], noise=Noise.normal(sd))
        if has_plain_noise(plain, self.control.values, self.control.weights):
            return Start(plain, features, products)
        learned = self.mechanism(i, parents)
        if isinstance(learned, LinearMechanism) and learned.has_fixed_statistics:
            return Start(plain, features, products)
        return Start(without_error(learned))

    def _features(self, i: int, parents: tuple[int, ...]) -> tuple[Feature, ...]:
        """List what the mean of a number is linear in."""
        kinds = {self.like.variables[p].kind for p in parents}
        if kinds <= {"continuous"} and not _has_named(self.like.mechanisms[i]):
            return tuple(Plain(p) for p in parents)
        return tuple(getattr(self.mechanism(i, parents), "features", ()))

    def control_products(self, mechanism: Mechanism, features: tuple[Feature, ...]) -> Floats:
        """Sum over control rows all products of intercept, features and own value."""
        if all(isinstance(one, Plain) for one in features):
            columns = columns_of(mechanism, features)
            return np.asarray(self._products[np.ix_(columns, columns)])
        rows = with_own(features, self.control.values, mechanism.variable)
        return np.asarray(rows.T @ (rows * self.control.weights[:, None]))


def with_intercept(values: Floats) -> Floats:
    """Put a column of ones before others."""
    out = np.ones((len(values), 1 + values.shape[1]), order="F")
    out[:, 1:] = values
    return out


def with_own(features: tuple[Feature, ...], values: Floats, i: int) -> Floats:
    """Evaluate intercept and features, with the own value last."""
    return np.concatenate([design(features, values), values[:, i : i + 1]], axis=1)


def columns_of(mechanism: Mechanism, features: tuple[Feature, ...]) -> list[int]:
    """Columns of intercept, plain features and own value beside an intercept."""
    return [0, *(1 + one.columns[0] for one in features), 1 + mechanism.variable]


def line_of(products: Floats, number: float) -> tuple[Floats, float]:
    """Return the likeliest residual, as a function of the columns, and its deviation."""
    inner, aim = products[:-1, :-1], products[:-1, -1]
    ridge = _RIDGE * max(float(np.diag(inner).max()), 1e-300)
    coefficients = np.linalg.solve(inner + ridge * np.eye(len(inner)), aim)
    line = np.append(-coefficients, 1.0)
    squares = max(float(line @ products @ line), 0.0)
    return line, max(float(np.sqrt(squares / max(number, 1.0))), LEAST_SD)


def without_error(mechanism: Mechanism) -> Mechanism:
    """Return a regression whose coefficients are taken as they are."""
    if isinstance(mechanism, LinearMechanism) and mechanism.covariance is not None:
        return replace(mechanism, covariance=None)
    return mechanism


def _has_named(mechanism: Mechanism) -> bool:
    """Whether the user named features of a regression."""
    features = getattr(mechanism, "features", ())
    return not all(isinstance(one, Plain) for one in features)
