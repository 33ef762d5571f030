import numpy as np

from recsys.index.half import widened


def test_every_finite_half_is_what_numpy_says_it_is():
    halves = np.arange(65_536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]

    wide = widened(halves.reshape(-1, 8))

    assert wide.dtype == np.float32
    assert wide.reshape(-1).view(np.uint32).tolist() == halves.astype(np.float32).view(np.uint32).tolist()


def test_rows_out_of_a_larger_array_are_read_in_their_order():
    halves = np.arange(24, dtype=np.float16).reshape(4, 6)

    assert widened(halves[::2, ::3]).tolist() == [[0, 3], [12, 15]]
    assert widened(halves[:0]).shape == (0, 6)
