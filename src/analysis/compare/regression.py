"""What becomes of poor first grades if nothing changes: regression to the mean, by simulation.

Forces are followed up because their first grades were poor. Some of that was bad luck, which does not
come twice. So their next grades are better on average, whatever was done. How much better is shown here
by forces that are made up, inspected twice, and whose cases are of one and the same process both times.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.compare.change import Direction, Evidence, verdict_on
from analysis.compare.shares import CONFIDENCE, Estimate, share

N_FORCES = 30_000
# The verdict of a pair takes a millisecond.
N_JUDGED = 1_000
CHOSEN = 1 / 3


@dataclass(frozen=True)
class Regression:
    """What forces show that were chosen for poor first grades and did not change.

    Shares are fractions of audited cases; each interval is that of the simulation, which more forces
    would narrow, and none of any real force.

    Attributes:
        base_before: cases of the first audit.
        base_after: cases of the second audit.
        chosen: the part of forces that were chosen: those with the highest share inadequate.
        concentration: how alike forces are: their shares vary as if known from so many cases; null if
            all are alike.
        inadequate: share inadequate of those chosen, in the first and in the second audit, on average.
        good: the same for share good.
        inadequate_change: the second share inadequate less the first, on average.
        good_change: the same for share good.
        better: how often the counts of those chosen moved for the better.
        clear_better: how often that would have been called clear.
    """

    base_before: int
    base_after: int
    chosen: float
    concentration: float | None
    inadequate: tuple[Estimate, Estimate]
    good: tuple[Estimate, Estimate]
    inadequate_change: Estimate
    good_change: Estimate
    better: Estimate
    clear_better: Estimate


def regression_to_the_mean(
    shares: Sequence[float],
    /,
    *,
    base_before: int,
    base_after: int,
    concentration: float | None,
    chosen: float = CHOSEN,
    n_forces: int = N_FORCES,
    n_judged: int = N_JUDGED,
    confidence: float = CONFIDENCE,
    seed: int = 1886,
) -> Regression:
    """Make up forces, inspect each twice, and follow up those with the worst first grades.

    The shares of each force are drawn from a Dirichlet distribution around the given ones and are the
    same in both audits. The name is Galton's 1886 (Journal of the Anthropological Institute 15:246).

    Args:
        shares: of audited cases at each grade over all forces, worst to best, fractions that add to 1.
        base_before: cases of each first audit.
        base_after: cases of each second audit.
        concentration: the sum of the parameters of the Dirichlet distribution; null if forces do not
            differ.
        chosen: the part of forces to follow up, above 0 and at most 1.
        n_forces: how many forces to make up.
        n_judged: for how many of those chosen to work out the verdict.
        confidence: level of the verdict and of the simulation's intervals.
        seed: of the random numbers. The same arguments always give the same result.

    Raises:
        ValueError: if the shares do not add to 1, an audit has fewer than 2 cases, or a part or a
            number is out of its range.
    """
    from scipy import stats

    centre = np.asarray(shares, dtype=np.float64)
    if centre.ndim != 1 or (centre < 0).any() or not math.isclose(float(centre.sum()), 1, abs_tol=1e-9):
        raise ValueError("Shares must be fractions that add to 1, one for each grade.")
    if min(base_before, base_after) < 2:
        raise ValueError("Each audit needs at least 2 cases.")
    if not 0 < chosen <= 1 or (concentration is not None and not 0 < concentration < math.inf):
        raise ValueError("The chosen part must be above 0 and at most 1, and the concentration above 0.")
    if not 2 <= n_judged <= n_forces * chosen:
        raise ValueError("At least 2 forces must be judged, and no more than are chosen.")
    generator = np.random.default_rng(seed)
    if concentration is None:
        own = np.tile(centre, (n_forces, 1))
    else:
        # a grade that no case has keeps no share
        own = np.zeros((n_forces, len(centre)))
        own[:, centre > 0] = generator.dirichlet(centre[centre > 0] * concentration, size=n_forces)
    before, after = (generator.multinomial(base, own) for base in (base_before, base_after))
    # ties are broken by chance, as an order of forces would have to be
    order = np.lexsort((generator.random(n_forces), -before[:, 0]))
    picked = order[: round(n_forces * chosen)]
    before, after = before[picked], after[picked]
    first, second = before / base_before, after / base_after
    moved = second - first
    is_good_up, is_inadequate_up = moved[:, -1] > 0, moved[:, 0] > 0
    is_good_down, is_inadequate_down = moved[:, -1] < 0, moved[:, 0] < 0
    is_better = (is_good_up | is_inadequate_down) & ~(is_good_down | is_inadequate_up)
    some = generator.permutation(len(picked))[:n_judged]
    verdicts = [
        verdict_on(before[one].tolist(), after[one].tolist(), confidence=confidence)[0] for one in some
    ]
    reach = float(stats.norm.ppf((1 + confidence) / 2)) / math.sqrt(len(picked))
    is_last = first[:, 0] == first[:, 0].min()

    def mean(values: NDArray[np.float64]) -> Estimate:
        value = float(values.mean())
        # where the line between chosen and not lies is chance too
        by_line = (1 - chosen) * (value - float(values[is_last].mean())) ** 2
        spread = math.sqrt(float(values.var(ddof=1)) + by_line)
        return Estimate(value, value - reach * spread, value + reach * spread)

    n_clear = sum(one.evidence is Evidence.CLEAR and one.direction is Direction.BETTER for one in verdicts)
    return Regression(
        base_before=base_before,
        base_after=base_after,
        chosen=chosen,
        concentration=concentration,
        inadequate=(mean(first[:, 0]), mean(second[:, 0])),
        good=(mean(first[:, -1]), mean(second[:, -1])),
        inadequate_change=mean(moved[:, 0]),
        good_change=mean(moved[:, -1]),
        better=share(int(is_better.sum()), len(picked), confidence=confidence),
        clear_better=share(n_clear, len(some), confidence=confidence),
    )


def concentration(shares: Sequence[float], spread: float, /) -> float | None:
    """The concentration of a Dirichlet distribution whose first share varies with this standard deviation.

    Args:
        shares: the mean shares, of which the first is the one that `spread` is of.
        spread: standard deviation of that share between forces, a fraction.

    Returns:
        The sum of the parameters; null if the spread is 0, as no such distribution has none.

    Raises:
        ValueError: if the spread is larger than shares can have.
    """
    if spread == 0:
        return None
    variance = shares[0] * (1 - shares[0])
    if spread**2 >= variance:
        raise ValueError(f"Shares around {shares[0]} cannot vary with a standard deviation of {spread}.")
    return variance / spread**2 - 1
