"""Index tables for the filter transformation of split groups.

table[h, g, u, v] is the (g, u, v) cell of the canonical filter that lands there: output element
h, input element g and tap t read (h^-1 g, R_h^-1 t). A table depends on the stabilizer and the
kernel's shape only. Taps are taken in doubled, centred coordinates 2 * index - (ksize - 1), which
are integers for odd and even sizes alike, so one formula serves both.

On the hexagonal grid a square of taps is not mapped onto itself: what turns out of it is no part of
the filter, and `filter_support` says which taps are. There the table names the tap itself, so that it
permutes the cells all the same.
Sources: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7; HexaConv paper (Hoogeboom
et al. 2018, arXiv:1803.02108), section 4.
"""

import operator

import numpy as np

from groupy.garray.stabilizers import C2, C4, C6, D1, D2, D4, D6, C4h, D4h, O, Oh


def make_index_table(stabilizer, ksize, lifting):
    """The index table of one layer: int32, (S_out, S_in, k, ..., 1 + d), last axis (g, u, v[, w]).

    ksize: the side of the kernel, or its sides
    lifting: S_in is 1 (the input lives on the grid) instead of the stabilizer's order

    Raises TypeError if ksize is not of integers; ValueError if one is not positive, if the stabilizer
    does not map a kernel of these sides onto itself, or if no tap stays in it, as in an even hexagonal one.
    """
    kernel = kernel_shape(ksize, stabilizer)
    points = (stabilizer.moved_points(kernel) + np.array(kernel) - 1) // 2  # (S_out, k, ..., d)
    own = np.moveaxis(np.indices(kernel), 0, -1)
    cells = np.where(filter_support(stabilizer, kernel)[..., None], points, own)
    elements = np.zeros((stabilizer.order, 1), dtype=int) if lifting else stabilizer.product[stabilizer.inverse]
    table = np.empty(elements.shape + kernel + (1 + stabilizer.ndim,), dtype=np.int32)
    table[..., 0] = elements.reshape(elements.shape + (1,) * stabilizer.ndim)
    table[..., 1:] = cells[:, None]
    return table


def filter_support(stabilizer, ksize):
    """The taps of a kernel that stay in it however it is turned: booleans (k, ...); all but on the hexagonal grid.

    ksize, and what is raised: as of make_index_table
    """
    return stabilizer.support(kernel_shape(ksize, stabilizer))


def make_d1_z2_indices(ksize):
    """Index table of PMConvZ2: int32, (2, 1, ksize, ksize, 3)."""
    return make_index_table(D1, ksize, lifting=True)


def make_d1_pm_indices(ksize):
    """Index table of PMConvPM: int32, (2, 2, ksize, ksize, 3)."""
    return make_index_table(D1, ksize, lifting=False)


def make_c2_z2_indices(ksize):
    """Index table of P2ConvZ2: int32, (2, 1, ksize, ksize, 3)."""
    return make_index_table(C2, ksize, lifting=True)


def make_c2_p2_indices(ksize):
    """Index table of P2ConvP2: int32, (2, 2, ksize, ksize, 3)."""
    return make_index_table(C2, ksize, lifting=False)


def make_d2_z2_indices(ksize):
    """Index table of P2MMConvZ2: int32, (4, 1, ksize, ksize, 3)."""
    return make_index_table(D2, ksize, lifting=True)


def make_d2_p2mm_indices(ksize):
    """Index table of P2MMConvP2MM: int32, (4, 4, ksize, ksize, 3)."""
    return make_index_table(D2, ksize, lifting=False)


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


def make_c6_z2_indices(ksize):
    """Index table of P6ConvZ2: int32, (6, 1, ksize, ksize, 3)."""
    return make_index_table(C6, ksize, lifting=True)


def make_c6_p6_indices(ksize):
    """Index table of P6ConvP6: int32, (6, 6, ksize, ksize, 3)."""
    return make_index_table(C6, ksize, lifting=False)


def make_d6_z2_indices(ksize):
    """Index table of P6MConvZ2: int32, (12, 1, ksize, ksize, 3)."""
    return make_index_table(D6, ksize, lifting=True)


def make_d6_p6m_indices(ksize):
    """Index table of P6MConvP6M: int32, (12, 12, ksize, ksize, 3)."""
    return make_index_table(D6, ksize, lifting=False)


def make_c4h_z3_indices(ksize):
    """Index table of C4HConvZ3: int32, (8, 1, ksize, ksize, ksize, 4)."""
    return make_index_table(C4h, ksize, lifting=True)


def make_c4h_c4ht_indices(ksize):
    """Index table of C4HConvC4H: int32, (8, 8, ksize, ksize, ksize, 4)."""
    return make_index_table(C4h, ksize, lifting=False)


def make_d4h_z3_indices(ksize):
    """Index table of D4HConvZ3: int32, (16, 1, ksize, ksize, ksize, 4)."""
    return make_index_table(D4h, ksize, lifting=True)


def make_d4h_d4ht_indices(ksize):
    """Index table of D4HConvD4H: int32, (16, 16, ksize, ksize, ksize, 4)."""
    return make_index_table(D4h, ksize, lifting=False)


def make_o_z3_indices(ksize):
    """Index table of OConvZ3: int32, (24, 1, ksize, ksize, ksize, 4)."""
    return make_index_table(O, ksize, lifting=True)


def make_o_ot_indices(ksize):
    """Index table of OConvO: int32, (24, 24, ksize, ksize, ksize, 4)."""
    return make_index_table(O, ksize, lifting=False)


def make_oh_z3_indices(ksize):
    """Index table of OHConvZ3: int32, (48, 1, ksize, ksize, ksize, 4)."""
    return make_index_table(Oh, ksize, lifting=True)


def make_oh_oht_indices(ksize):
    """Index table of OHConvOH: int32, (48, 48, ksize, ksize, ksize, 4)."""
    return make_index_table(Oh, ksize, lifting=False)


def flatten_indices(inds):
    """Turn a (g, u, v) table into offsets (S_out, S_in, k, k) in a filter stored as (k, k, S_in).

    That is the layout of GrouPy's TensorFlow port, for which the function has always been meant;
    `FilterTransformation.gather` has the offsets in this library's own layout, (S_in, k, k).
    In three dimensions likewise.
    """
    inds = np.asarray(inds)
    n_elements, *kernel = inds.shape[1:-1]
    g, *tap = np.moveaxis(inds, -1, 0)
    return np.ravel_multi_index(tap, kernel) * n_elements + g


def kernel_shape(ksize, stabilizer, what="ksize", advice=None):
    """The sides of a kernel that the stabilizer maps onto itself, a tuple of d ints, of one integer or d.

    what: how to call it in errors
    advice: function of the sides, for the end of the error that the stabilizer does not keep them

    Raises TypeError if the sides are not integers; ValueError if one is not positive, if the stabilizer does
    not map a kernel of these sides onto itself, or if no tap stays in it, as in an even hexagonal one.
    """
    d, name = stabilizer.ndim, stabilizer.name
    sides = tuple(ksize) if isinstance(ksize, (tuple, list, np.ndarray)) else (ksize,) * d
    try:
        kernel = tuple(operator.index(side) for side in sides)
    except TypeError:
        raise TypeError(f"{what} must be one integer, the side of the kernel, or {d} of them; got {ksize!r}.") from None
    if len(kernel) != d or min(kernel) < 1:
        raise ValueError(f"{what} must be one integer or {d} of them, each at least 1; got {ksize!r}.")
    by = " x ".join(map(str, kernel))
    if not stabilizer.keeps_box(kernel):
        alike = " and ".join(
            ", ".join(stabilizer.axes[a] for a in axes) for axes in stabilizer.exchanged_axes if axes[1:]
        )
        raise ValueError(
            f"{what} {by} does not fit {name}, which exchanges the axes {alike}: the kernel must have the same side "
            f"along them.{advice(kernel) if advice else ''}"
        )
    if any(kernel[axis] % 2 == 0 for axis in stabilizer.odd_axes):
        raise ValueError(
            f"{what} {by} is even, and {name} turns each tap out of such a kernel, whose centre is not a point of the "
            f"hexagonal grid; use an odd side."
        )
    return kernel
