"""Filter masks: a group filter's support, limited to part of the stabilizer.

Just as a planar filter is zero outside its 3 x 3 window, a filter on p4m may be zero on some
elements of D4. A mask holds a one where the filter may differ from zero. The transformed
filters keep the zeros, turned along, so the layer stays equivariant with fewer parameters.

All masks: float64, (out_channels, in_channels, 8), the `filter_mask` argument of the layers.
"""

import numpy as np

_TURNS, _MIRRORED_TURNS = slice(0, 4), slice(4, 8)  # the two halves of D4


def make_p4m_masks_segregate_mirrors(out_channels, in_channels):
    """Filters on turns alone: a stack of such layers processes the picture and its mirror image separately."""
    return make_p4m_masks_e_and_m_filters(out_channels, in_channels, out_channels)


def make_p4m_masks_e_and_m_filters(out_channels, in_channels, num_e_filters):
    """The first num_e_filters output channels see turns alone, the others mirrored turns alone."""
    _check_part("num_e_filters", num_e_filters, "out_channels", out_channels)
    mask = np.zeros((out_channels, in_channels, 8))
    mask[:num_e_filters, :, _TURNS] = 1
    mask[num_e_filters:, :, _MIRRORED_TURNS] = 1
    return mask


def make_p4m_masks_e_and_m_channels(out_channels, in_channels, num_e_channels):
    """The first num_e_channels input channels are seen on turns alone, the others on mirrored turns alone."""
    _check_part("num_e_channels", num_e_channels, "in_channels", in_channels)
    mask = np.zeros((out_channels, in_channels, 8))
    mask[:, :num_e_channels, _TURNS] = 1
    mask[:, num_e_channels:, _MIRRORED_TURNS] = 1
    return mask


def _check_part(name, part, whole_name, whole):
    if not 0 <= part <= whole:
        raise ValueError(f"{name} must lie between 0 and {whole_name}={whole}, got {part}.")
