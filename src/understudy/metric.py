"""The one shape of a measured number: value, sample size and a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from understudy.noun import Noun

_Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal
RESAMPLES = 2000
_MAX_DRAWS = 2_000_000  # at a time: a bootstrap over a whole benchmark would need hundreds of megabytes at once


class Metric(Noun):
    """``{"value", "n", "ci95": [low, high]}``."""

    value: float
    n: int
    ci95: tuple[float, float]


def proportion(successes: int, n: int) -> Metric:
    """A share with its Wilson score interval (Wilson 1927, doi:10.1080/01621459.1927.10502953); n = 0 gives [0, 1]."""
    if n == 0:
        return Metric(value=0.0, n=0, ci95=(0.0, 1.0))
    share = successes / n
    scale = 1 + _Z95**2 / n
    centre = (share + _Z95**2 / (2 * n)) / scale
    half = _Z95 / scale * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    return Metric(value=share, n=n, ci95=(max(0.0, centre - half), min(1.0, centre + half)))


def mean(values: Sequence[float], seed: int = 0) -> Metric:
    """A mean with its percentile-bootstrap interval (2,000 resamples from a generator seeded by ``seed``)."""
    if not values:
        return Metric(value=0.0, n=0, ci95=(0.0, 0.0))
    data = np.asarray(values, dtype=float)
    value = float(data.mean())
    if data.min() == data.max():  # so is every resample
        return Metric(value=value, n=len(data), ci95=(value, value))
    generator = np.random.default_rng(seed)
    rows = max(1, _MAX_DRAWS // len(data))
    sizes = ((min(rows, RESAMPLES - start), len(data)) for start in range(0, RESAMPLES, rows))
    resampled = [data[generator.integers(0, len(data), size=size)].mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(resampled), [0.025, 0.975])
    return Metric(value=value, n=len(data), ci95=(float(low), float(high)))


def paired_difference(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Metric:
    """Mean of ``second − first`` over pairs of the same question, with a bootstrap interval over pairs.

    Raises:
        ValueError: the sequences differ in length.
    """
    return mean([b - a for a, b in zip(first, second, strict=True)], seed)
