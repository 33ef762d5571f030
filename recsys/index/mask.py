"""Which rows may be found."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""bool, shape (n_rows,)"""
