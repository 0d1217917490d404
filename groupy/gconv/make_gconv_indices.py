"""Index tables for the filter transformation of split groups.

table[h, g, u, v] is the (g, u, v) cell of the canonical filter that lands there: output element
h, input element g and tap t read (h^-1 g, R_h^-1 t). A table depends on the stabilizer and the
kernel size only. Taps are taken in doubled, centred coordinates 2 * index - (ksize - 1), which
are integers for odd and even sizes alike, so one formula serves both.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import operator

import numpy as np

from groupy.garray.stabilizer import C4, D4


def make_index_table(stabilizer, ksize, lifting):
    """The index table of one layer: int32, (S_out, S_in, ksize, ..., 1 + d), last axis (g, u, v[, w]).

    lifting: S_in is 1 (the input lives on the grid) instead of the stabilizer's order

    Raises TypeError if ksize is not an integer, ValueError if it is not positive.
    """
    ksize = check_ksize(ksize)
    d = stabilizer.ndim
    taps = 2 * np.indices((ksize,) * d) - (ksize - 1)  # (d, k, ...)
    turned_back = np.einsum("hij,j...->h...i", stabilizer.matrices[stabilizer.inverse], taps)
    cells = (turned_back + ksize - 1) // 2  # (S_out, k, ..., d)
    elements = np.zeros((stabilizer.order, 1), dtype=int) if lifting else stabilizer.product[stabilizer.inverse]
    table = np.empty(elements.shape + (ksize,) * d + (1 + d,), dtype=np.int32)
    table[..., 0] = elements.reshape(elements.shape + (1,) * d)
    table[..., 1:] = cells[:, None]
    return table


def make_c4_z2_indices(ksize):
    """Index table of P4ConvZ2: int32, (4, 1, ksize, ksize, 3)."""
    return make_index_table(C4, ksize, lifting=True)


def make_c4_p4_indices(ksize):
    """Index table of P4ConvP4: int32, (4, 4, ksize, ksize, 3)."""
    return make_index_table(C4, ksize, lifting=False)


def make_d4_z2_indices(ksize):
    """Index table of P4MConvZ2: int32, (8, 1, ksize, ksize, 3)."""
    return make_index_table(D4, ksize, lifting=True)


def make_d4_p4m_indices(ksize):
    """Index table of P4MConvP4M: int32, (8, 8, ksize, ksize, 3)."""
    return make_index_table(D4, ksize, lifting=False)


def flatten_indices(inds):
    """Turn a (g, u, v) table into offsets (S_out, S_in, k, k) in a filter stored as (k, k, S_in).

    That is the layout of GrouPy's TensorFlow port, for which the function has always been meant;
    `FilterTransformation.gather` has the offsets in this library's own layout, (S_in, k, k).
    """
    inds = np.asarray(inds)
    n_elements, ksize = inds.shape[1], inds.shape[-2]
    g, u, v = np.moveaxis(inds, -1, 0)
    return (u * ksize + v) * n_elements + g


def check_ksize(ksize):
    """ksize as an int. Raises TypeError if it is not an integer, ValueError if it is not positive."""
    try:
        size = operator.index(ksize)
    except TypeError:
        raise TypeError(
            f"ksize must be one integer, the side of a square kernel, since turns map the kernel onto itself; "
            f"got {ksize!r}."
        ) from None
    if size < 1:
        raise ValueError(f"ksize must be at least 1, got {size}.")
    return size
