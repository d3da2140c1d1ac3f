"""Several changes as one: a random-effects summary, how much forces differ, what a further force may show.

The model: each force has a true change of its own; these vary around a mean with standard deviation
tau, and what is seen varies around the true change by chance. Tau is that of Paule and Mandel 1982
(Journal of Research of the National Bureau of Standards 87:377), the interval of the mean that of
Hartung and Knapp 2001 (Statistics in Medicine 20:3875).

`statsmodels` `combine_effects` computes the mean and its interval too, and the tests hold both
against each other. It is not called here: asked for a tau squared that is exact to the size of shares, it
may return 0 where forces differ; its other estimate of tau squared may be negative and is used as it is;
and it has neither an interval for tau nor one for a further force.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.compare.shares import CONFIDENCE, Estimate

# of a prediction for one more force: with fewer, nothing is known of how forces differ
FEWEST_TO_PREDICT = 3


@dataclass(frozen=True)
class Pooled:
    """The summary of `k` effects, all in the unit of the effects.

    Attributes:
        k: how many effects.
        mean: the mean of the true effects, with its Hartung-Knapp interval.
        cautious: the same mean with the interval that is never narrower than if forces did not differ
            more than chance makes them: where they look more alike than that, Hartung and Knapp's
            interval shrinks, which with few effects is luck more often than knowledge.
        tau: standard deviation of true effects between forces, with its Q-profile interval.
        q: Cochran's Q, the weighted sum of squared distances from the fixed-effect mean.
        q_p: p-value of Q: how often effects differ so much or more if all true effects are one.
        i_squared: the part of the spread that is more than chance, 0-1, with the interval that tau's gives.
        prediction: where the true effect of one more such force lies; null with fewer than 3 effects.
    """

    k: int
    mean: Estimate
    cautious: Estimate
    tau: Estimate
    q: float
    q_p: float
    i_squared: Estimate
    prediction: Estimate | None


def pooled(
    effects: Sequence[float], variances: Sequence[float], /, *, confidence: float = CONFIDENCE
) -> Pooled:
    """Summarise effects that vary by chance and between forces.

    Args:
        effects: one per force, in any unit and order.
        variances: of each effect by chance alone, in the square of that unit, all above 0.
        confidence: level of all intervals.

    Returns:
        The summary. It does not depend on the order of the effects. The interval of tau solves the
        generalised Q for its quantiles (Viechtbauer 2007, Statistics in Medicine 26:37). The
        prediction is that of Higgins, Thompson and Spiegelhalter 2009 (JRSS A 172:137), with k - 2
        degrees of freedom and the spread of `cautious`.

    Raises:
        ValueError: if there are fewer than two effects, as many variances are not given, one is not
            finite, or a variance is not above 0.

    Example:
        >>> one = pooled([-0.046, 0.155, 0.192, 0.082], [0.0086, 0.0087, 0.0114, 0.0092])
        >>> f"{one.mean.value:.2f} ({one.mean.lower:.2f} to {one.mean.upper:.2f}), tau {one.tau.value:.2f}"
        '0.09 (-0.08 to 0.26), tau 0.04'
    """
    from scipy import stats

    effect, variance = _checked(effects, variances, confidence)
    k = len(effect)
    tail = (1 - confidence) / 2
    tau2 = _tau2(effect, variance, k - 1)
    lowest, highest = (
        _tau2(effect, variance, float(level)) for level in stats.chi2.ppf([1 - tail, tail], k - 1)
    )
    weight = 1 / (variance + tau2)
    mean = float((weight * effect).sum() / weight.sum())
    scale = float((weight * (effect - mean) ** 2).sum() / (k - 1))
    plain = 1 / math.sqrt(float(weight.sum()))
    t = float(stats.t.ppf(1 - tail, k - 1))
    spread, cautious = plain * math.sqrt(scale), plain * math.sqrt(max(scale, 1.0))
    q = _generalised_q(effect, variance, 0.0)
    prediction = None
    if k >= FEWEST_TO_PREDICT:
        reach = float(stats.t.ppf(1 - tail, k - 2)) * math.sqrt(tau2 + cautious**2)
        prediction = Estimate(mean, mean - reach, mean + reach)
    typical = _typical_variance(variance)
    return Pooled(
        k=k,
        mean=Estimate(mean, mean - t * spread, mean + t * spread),
        cautious=Estimate(mean, mean - t * cautious, mean + t * cautious),
        tau=Estimate(math.sqrt(tau2), math.sqrt(lowest), math.sqrt(highest)),
        q=q,
        q_p=float(stats.chi2.sf(q, k - 1)),
        i_squared=Estimate(*(t2 / (t2 + typical) for t2 in (tau2, lowest, highest))),
        prediction=prediction,
    )


@dataclass(frozen=True)
class PartlyPooled:
    """What is to be thought of each effect in the light of the others.

    Attributes:
        effects: posterior median of each true effect with its central interval, in the order given.
        mean: posterior mean of the mean of true effects, with the central interval of that mean.
        tau: posterior median of the standard deviation between forces, with its central interval.
    """

    effects: tuple[Estimate, ...]
    mean: Estimate
    tau: Estimate


def partly_pooled(
    effects: Sequence[float], variances: Sequence[float], /, *, confidence: float = CONFIDENCE
) -> PartlyPooled:
    """Draw each effect towards the mean of all, the more, the less it says by itself.

    The model of `pooled` with flat priors for the mean and for tau (Rubin 1981, Journal of
    Educational Statistics 6:377; Gelman et al. 2013, Bayesian Data Analysis, section 5.4). Given tau
    all is normal and known; tau is summed over a grid, so that no random numbers are drawn.

    Args:
        effects: one per force, in any unit and order.
        variances: of each effect by chance alone, in the square of that unit, all above 0.
        confidence: what the intervals hold of the posterior.

    Raises:
        ValueError: as `pooled`, and if there are fewer than three effects: the posterior of tau has
            no end then.

    Example:
        >>> schools = partly_pooled([28, 8, -3, 7, -1, 1, 18, 12], [225, 100, 256, 121, 81, 121, 100, 324])
        >>> f"{schools.effects[0].value:.1f} ({schools.effects[0].lower:.1f} to {schools.effects[0].upper:.1f})"
        '10.2 (-2.1 to 31.6)'
    """
    effect, variance = _checked(effects, variances, confidence)
    if len(effect) < FEWEST_TO_PREDICT:
        raise ValueError(f"Partial pooling needs at least 3 effects, but {len(effect)} are given.")
    tau = _grid(effect, variance)
    spread = variance + tau[:, None] ** 2
    precision = (1 / spread).sum(axis=1)
    means = (effect / spread).sum(axis=1) / precision
    log_density = -(((effect - means[:, None]) ** 2 / spread) + np.log(spread)).sum(axis=1) / 2
    log_density -= np.log(precision) / 2
    # the width of the piece of tau's line that each point of the grid stands for
    weight = np.exp(log_density - log_density.max()) * np.gradient(tau)
    weight /= weight.sum()
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    each = []
    for one, own in zip(effect, variance, strict=True):
        kept = tau**2 / (own + tau**2)
        centre = means + kept * (one - means)
        width = np.sqrt(kept * own + (1 - kept) ** 2 / precision)
        middle, low, high = (_mixture_quantile(level, weight, centre, width) for level in (0.5, *tails))
        each.append(Estimate(middle, low, high))
    low, high = (_mixture_quantile(level, weight, means, 1 / np.sqrt(precision)) for level in tails)
    reached = np.cumsum(weight)
    middle, least, most = (float(tau[np.searchsorted(reached, level)]) for level in (0.5, *tails))
    return PartlyPooled(
        tuple(each), Estimate(float(weight @ means), low, high), Estimate(middle, least, most)
    )


def _checked(
    effects: Sequence[float], variances: Sequence[float], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not 0 < confidence < 1:
        raise ValueError(f"The confidence must lie between 0 and 1, but is {confidence}.")
    effect, variance = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if effect.ndim != 1 or effect.shape != variance.shape:
        raise ValueError(f"{effect.size} effects need as many variances, but {variance.size} are given.")
    if len(effect) < 2:
        raise ValueError(f"A summary needs at least two effects, but {len(effect)} is given.")
    if not (np.isfinite(effect).all() and np.isfinite(variance).all() and (variance > 0).all()):
        raise ValueError("Effects must be finite numbers, and variances must be above 0.")
    return effect, variance


def _generalised_q(effect: NDArray[np.float64], variance: NDArray[np.float64], tau2: float) -> float:
    weight = 1 / (variance + tau2)
    mean = (weight * effect).sum() / weight.sum()
    return float((weight * (effect - mean) ** 2).sum())


def _tau2(effect: NDArray[np.float64], variance: NDArray[np.float64], level: float) -> float:
    """The tau squared at which the generalised Q, which falls with it, is `level`; 0 if it never is above."""
    from scipy.optimize import brentq

    def excess(tau2: float) -> float:
        return _generalised_q(effect, variance, tau2) - level

    if excess(0.0) <= 0:
        return 0.0
    highest = float(variance.max() + np.ptp(effect) ** 2)
    while excess(highest) > 0:
        highest *= 2
    return float(brentq(excess, 0.0, highest, xtol=1e-15 * highest, rtol=1e-13))


def _typical_variance(variance: NDArray[np.float64]) -> float:
    """The variance by chance that stands for all in I squared (Higgins and Thompson 2002, SiM 21:1539)."""
    weight = 1 / variance
    return float((len(weight) - 1) * weight.sum() / (weight.sum() ** 2 - (weight**2).sum()))


def _grid(effect: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of tau from 0, close together where it is small, to where nothing of its posterior is left.

    With few effects that is far out: the density falls with the power k - 1 of tau only.
    """
    unit = math.sqrt(float(variance.mean())) + float(np.ptp(effect))
    steps: NDArray[np.float64] = np.linspace(0.0, 1.0, 4001)
    # tan grows without end towards a right angle, as the tail does
    return unit * np.tan(steps * (math.pi / 2 - 1e-5)) / 2


def _mixture_quantile(
    level: float, weight: NDArray[np.float64], centre: NDArray[np.float64], width: NDArray[np.float64]
) -> float:
    from scipy import special
    from scipy.optimize import brentq

    lowest, highest = float((centre - 12 * width).min()), float((centre + 12 * width).max())
    return float(
        brentq(lambda x: float(weight @ special.ndtr((x - centre) / width)) - level, lowest, highest)
    )
