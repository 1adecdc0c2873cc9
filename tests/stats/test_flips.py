"""Random sign flips of many differences at once, against the exact test and the test of one column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dialoeval.stats import sign_flip_means, sign_flip_p_values, sign_flip_test


def test_small_whole_differences_have_nearly_the_exact_p():
    differences = np.array([1, 1, 1, 1, 1, 1, 1, -1, 1, 1] * 2)
    exact = sign_flip_test(np.arange(20), differences).p_value
    assert sign_flip_p_values(differences[:, None], 20_000)[0] == pytest.approx(exact, rel=0.5, abs=2e-4)


@settings(max_examples=30, deadline=None)
@given(arrays(float, (9, 3), elements=st.floats(-4, 4, width=16)))
def test_columns_do_not_influence_each_other(differences):
    together = sign_flip_p_values(differences, 500)
    alone = [sign_flip_p_values(differences[:, [i]], 500)[0] for i in range(3)]
    assert together == pytest.approx(alone)
    assert together == pytest.approx(sign_flip_p_values(-differences, 500))
    for i, p in enumerate(together):
        assert p == pytest.approx(sign_flip_means(differences[:, i], 500).p_value, abs=0.15)


def test_no_difference_and_missing_ones():
    table = np.array([[0.0, np.nan, 1.0], [0.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
    p = sign_flip_p_values(table, 400)
    assert p[0] == 1.0 and p[1] == pytest.approx(0.5, abs=0.1) and p[2] == pytest.approx(0.25, abs=0.1)
