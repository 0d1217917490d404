"""Laws: how an element of the stabilizer moves the arrays that pass through a network.

A picture turns; a feature map on a group turns and its orientations change places; a score stays
as it is. Which law an array obeys shows in its shape, up to a few candidates: `laws_for`.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), sections 4.4 and 6.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

import numpy as np

from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.garray import GArray
from groupy.gconv.reference import left_translate

_BY_NAME = {"p4": C4, "C4": C4, "p4m": D4, "D4": D4}
_PLANE_GROUPS = {C4: "p4", D4: "p4m"}


def as_group(group):
    """The stabilizer that 'p4', 'p4m', 'C4' or 'D4' names; a FiniteGroup of these passes through.

    Raises ValueError for anything else.
    """
    if isinstance(group, FiniteGroup) and group in _PLANE_GROUPS:
        return group
    if isinstance(group, str) and group in _BY_NAME:
        return _BY_NAME[group]
    names = ", ".join(repr(name) for name in _BY_NAME)
    raise ValueError(f"group must be one of {names}, or groupy's C4 or D4; got {group!r}.")


def plane_group(group):
    """The name of the plane group with this stabilizer, 'p4' or 'p4m'."""
    return _PLANE_GROUPS[group]


@dataclass(frozen=True, eq=False)
class Element:
    """An element of a stabilizer; word: in the generators, as e, r, r2, r3, m, mr, ..."""

    word: str
    garray: GArray


def elements_of(group):
    """The Elements of C4 or D4, by words."""
    elements = (Element(_word(group[i]), group[i]) for i in range(group.size))
    return {element.word: element for element in elements}


def _word(h):
    *mirrored, r = (int(n) for n in h.reparameterize("int").data)
    turns = ("", "r", "r2", "r3")[r]
    return ("m" if any(mirrored) else "") + turns or "e"


@lru_cache(maxsize=1024)
def _position(fiber, h):
    """Where the element stands in the list of a fiber's group; -1 if it is not in the group."""
    return int(fiber.stabilizer.index_of(h.garray.reparameterize("mat").data))


@lru_cache(maxsize=1024)
def _pixels_moved(h, H, W):
    """For each pixel of the moved picture, the offset of the one that it comes from."""
    return left_translate(np.arange(H * W).reshape(1, H, W), None, h.garray)[0]


@dataclass(frozen=True)
class Law:
    """One way to move an array with an element of the stabilizer.

    fiber: the group whose elements index a stabilizer axis; None if there is no such axis
    pixels: the last two axes are rows and columns
    folded: the stabilizer axis is folded into the channels, (N, C * S, ...) for (N, C, S, ...)
    """

    name: str
    fiber: Optional[FiniteGroup] = None
    pixels: bool = True
    folded: bool = False

    def fits(self, shape):
        """Whether an array of this shape can obey the law."""
        if self.fiber is None:
            return len(shape) >= 3 or not self.pixels
        if len(shape) != 3 - self.folded + 2 * self.pixels:
            return False
        return shape[1] % self.fiber.size == 0 if self.folded else shape[2] == self.fiber.size

    def covers(self, h):
        """Whether the fiber knows the element: a map on p4 has turned copies of itself, but no mirrored ones."""
        return self.fiber is None or _position(self.fiber, h) >= 0

    def move(self, x, h):
        """The array moved by an element h that the law covers: (L_h x)[g, p] = x[h^-1 g, R_h^-1 p]."""
        if self.pixels:
            x = x.reshape(*x.shape[:-2], -1)[..., _pixels_moved(h, *x.shape[-2:])]
        if self.fiber is None:
            return x
        stabilizer = self.fiber.stabilizer
        sources = stabilizer.product[stabilizer.inverse[_position(self.fiber, h)]]
        unfolded = x.reshape(x.shape[0], -1, self.fiber.size, *x.shape[2 if self.folded else 3 :])
        return unfolded[:, :, sources].reshape(x.shape)


PLANAR = Law("planar")
INVARIANT = Law("invariant", pixels=False)


def on_group(fiber, pixels=True, folded=False):
    """The law of a feature map on a group: (N, C, S, H, W), folded (N, C * S, H, W), or without the pixels."""
    words = [f"on {plane_group(fiber)}"] + ["folded"] * folded + ["no pixels"] * (not pixels)
    return Law(", ".join(words), fiber, pixels, folded)


_LAWS = (
    *(on_group(fiber, pixels, folded=False) for pixels in (True, False) for fiber in (C4, D4)),
    PLANAR,
    *(on_group(fiber, pixels, folded=True) for pixels in (True, False) for fiber in (D4, C4)),
    INVARIANT,
)


def laws_for(shape, like=None):
    """The laws that an array of this shape can obey, the likeliest first; never empty.

    like: the law of what the array was made from
    """
    fitting = [law for law in _LAWS if law.fits(shape)]
    if like is None:
        return fitting
    return sorted(fitting, key=lambda law: (law != like, law.fiber is not like.fiber, law.pixels != like.pixels))


def law_of_input(shape):
    """The law of a network's input: (N, C, H, W), or on a group (N, C, S, H, W). Raises ValueError for other shapes."""
    if len(shape) == 4 and np.prod(shape):
        return PLANAR
    if len(shape) == 5 and np.prod(shape) and shape[2] in (1, C4.size, D4.size):
        return laws_for(shape)[0]
    raise ValueError(
        f"x must be pictures (N, C, H, W) or feature maps on a group (N, C, S, H, W) with S 4 or 8, and not "
        f"empty; got shape {tuple(shape)}."
    )
