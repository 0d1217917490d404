"""FilterTransformation: the frozen description from which every framework transforms filters.

A canonical filter, flattened to its C cells, S_in * k * k or in three dimensions S_in * k * k * k,
becomes its orbit of S_out filters, each a permutation of the cells. A permutation's gradient gathers
with the inverse permutation, so the gradient is a gather and a sum over S_out, in a fixed order: no
scatter, no atomics.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from groupy.gconv.make_gconv_indices import make_index_table


@dataclass(frozen=True, eq=False)
class FilterTransformation:
    """How a canonical filter becomes its orbit under the stabilizer.

    table: int32 (S_out, S_in, k, ..., 1 + d), last axis (g, u, v[, w]); read-only

    Raises ValueError if the table does not permute the cells of the filter for each output element.
    """

    table: np.ndarray

    def __post_init__(self):
        table = np.array(self.table, dtype=np.int32)
        table.flags.writeable = False
        object.__setattr__(self, "table", table)
        shape = table.shape[1:-1]
        if table.ndim < 4 or table.shape[-1] != len(shape):
            raise ValueError(f"an index table has shape (S_out, S_in, k, ..., 1 + d), got {table.shape}.")
        cells = np.arange(self.n_cells)
        if (table < 0).any() or (table >= shape).any() or (np.sort(self.gather, axis=1) != cells).any():
            raise ValueError("the index table does not permute the cells of the filter.")

    @property
    def output_stabilizer_size(self):
        """S_out."""
        return self.table.shape[0]

    @property
    def input_stabilizer_size(self):
        """S_in."""
        return self.table.shape[1]

    @property
    def kernel(self):
        """The sides of the kernel."""
        return self.table.shape[2:-1]

    @property
    def n_cells(self):
        """C, the cells of one canonical filter."""
        return int(np.prod(self.table.shape[1:-1]))

    @cached_property
    def gather(self):
        """int64 (S_out, C): cell c of transformed filter h reads cell gather[h, c] of the canonical filter."""
        cells = np.ravel_multi_index(tuple(np.moveaxis(self.table, -1, 0)), self.table.shape[1:-1])
        return _read_only(cells.reshape(self.output_stabilizer_size, -1))

    @cached_property
    def inverse(self):
        """int64 (S_out, C): cell c of the canonical filter lands on cell inverse[h, c] of transformed filter h."""
        return _read_only(np.argsort(self.gather, axis=1))

    @cached_property
    def digest(self):
        """16 hexadecimal digits that tell the table from others of its shape; the same on every machine."""
        return hashlib.sha256(self.table.astype("<i4").tobytes()).hexdigest()[:16]

    def folded_gather(self, in_channels):
        """int64 (S_out * I * C,): where the folded filters read the canonical ones, flattened to (O, I * C).

        `take(w.reshape(O, -1), folded_gather, axis=1).reshape(O * S_out, I * S_in, k, k)` is the
        filter bank of the planar convolution, in one pass.
        """
        channels = np.arange(in_channels)[:, None] * self.n_cells
        return (channels + self.gather[:, None, :]).reshape(-1)

    def folded_inverse(self, in_channels):
        """int64 (S_out * I * C,): where the gradient reads that of the folded filters, flattened to (O, S_out * I * C).

        `take(grad.reshape(O, -1), folded_inverse, axis=1).reshape(O, S_out, I * C).sum(axis=1)` is
        the gradient of the canonical filters.
        """
        filters = np.arange(self.output_stabilizer_size * in_channels) * self.n_cells
        filters = filters.reshape(self.output_stabilizer_size, in_channels, 1)
        return (filters + self.inverse[:, None, :]).reshape(-1)


@cache
def filter_transformation(stabilizer, ksize, lifting):
    """The FilterTransformation of a stabilizer (see make_index_table), made once per process.

    ksize: the sides of the kernel, a tuple
    """
    return FilterTransformation(make_index_table(stabilizer, ksize, lifting))


def _read_only(array):
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array
