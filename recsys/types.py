"""Names for the values that everything passes round."""

from typing import NewType

import numpy as np
from numpy.typing import NDArray

ItemId = str
"""The shop's own id of a product; never a row."""
UserId = str
"""The shop's own id of a user."""
ItemRow = NewType("ItemRow", int)
"""A row of one particular array; converted from an `ItemId` in `recsys.ids` only."""

Vector = NDArray[np.float32]
"""float32, shape (dim,)"""
Matrix = NDArray[np.float32]
"""float32, shape (n, dim)"""
Rows = NDArray[np.intp]
"""intp, shape (n,): rows of an array"""
