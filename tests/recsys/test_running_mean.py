"""The mean of what is searched by."""

import numpy as np

from recsys.running_mean import PRIOR, WINDOW, RunningMean

ZERO, ONE = np.zeros(2, np.float32), np.ones(2, np.float32)


def test_it_starts_at_the_prior_and_goes_half_way_when_as_many_have_come():
    mean = RunningMean()
    assert np.array_equal(mean.value(ZERO), ZERO)
    for _ in range(int(PRIOR)):
        mean.add(ONE)

    assert np.allclose(mean.value(ZERO), 0.5, atol=0.01)


def test_what_came_long_ago_is_forgotten():
    mean = RunningMean()
    for _ in range(int(5 * WINDOW)):
        mean.add(ONE)
    for _ in range(int(5 * WINDOW)):
        mean.add(-ONE)

    assert mean.value(ZERO)[0] < -0.9


def test_another_encoder_starts_anew():
    mean = RunningMean()
    mean.add(ONE)

    assert np.array_equal(mean.value(np.zeros(3, np.float32)), np.zeros(3))
