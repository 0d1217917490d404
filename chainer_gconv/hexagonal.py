"""Hexagonal feature maps in arrays: how to leave what is outside the hexagon zero.

A map on the hexagonal grid lies in a square array, in axial coordinates; its points are the centred
hexagon of an odd square, groupy.gconv.geometry.grid_support. Sizes that hold no such hexagon are left whole.
Source: HexaConv paper (Hoogeboom et al. 2018, arXiv:1803.02108), section 4.
"""

import chainer
import chainer.functions as F
import numpy as np


def zero_outside(x, inside):
    """The Variable x (..., H, W) with zeros, and no gradient, where `inside`, booleans (H, W), is false.

    Values are selected, not multiplied by zero, so that NaN and infinity outside have no effect either.
    inside: booleans that broadcast to x; None leaves x as it is
    """
    return x if inside is None else filled_outside(x, inside, 0)


def filled_outside(x, inside, value):
    """The same, with another value than zero."""
    device = chainer.backend.get_device_from_array(x.array)
    return F.where(device.send(inside), x, device.send(np.array(value, x.dtype)))
