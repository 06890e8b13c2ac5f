#!/usr/bin/env python3
"""Prints the rows of test_stats.c's fieller[]: the ends of the interval of mean(b) / mean(a), found
as the ratios t at which scipy's t test of b - t a against 0 has p = 0.05. Needs numpy, scipy."""
import numpy as np
from scipy import optimize, stats


def column(n, multiplier, modulus, below):
    return np.array([float(i * multiplier % modulus < below) for i in range(n)])


def p_of(t, a, b):
    return stats.ttest_1samp(b - t * a, 0).pvalue - 0.05


for n, below_a, below_b in ((40, 60, 52), (200, 75, 78), (1000, 30, 31), (25, 90, 40)):
    a, b = column(n, 7919, 97, below_a), column(n, 7919, 97, below_b)
    b = np.abs(b - column(n, 104729, 89, 9))  # some flips
    ratio = b.mean() / a.mean()
    low = optimize.brentq(p_of, 0, ratio, (a, b), xtol=1e-14)
    high = optimize.brentq(p_of, ratio, 20, (a, b), xtol=1e-14)
    print(f"    {{{n}, {below_a}, {below_b}, {ratio:.15g}, {low:.15g}, {high:.15g}}},")
