"""What every encoder is."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from recsys.types import Matrix

Input = TypeVar("Input", contravariant=True)


class Encoder(Protocol[Input]):
    """Turns a batch of texts or pictures into unit vectors.

    Attributes
    ----------
    name : str
        Which network and which weights, and a version of our preprocessing: two encoders with one
        name give the same vectors. Stored beside each vector.
    dim : int
        Length of a vector.
    """

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, batch: Sequence[Input]) -> Matrix:
        """Encode a batch.

        Parameters
        ----------
        batch : sequence of str (text) or PIL.Image.Image (pictures, mode RGB)

        Returns
        -------
        ndarray of float32, shape (len(batch), dim)
            Rows of norm 1, or all zeros where there is nothing to encode (an empty text).
        """
        ...
