"""Laws: how an element of the stabilizer moves the arrays that pass through a network.

A picture turns; a feature map on a group turns and its orientations change places; a score stays
as it is. Which law an array obeys shows in its shape, up to a few candidates: `laws_for`.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), sections 4.4 and 6.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Optional

import numpy as np

from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.garray import GArray
from groupy.gconv.geometry import grid_support
from groupy.gconv.layer_specs import GROUPS, name_of
from groupy.gconv.reference import left_translate

# What the points of the grid are called, in the names of laws and in reasons.
PICTURES = {2: "planar", 3: "volume"}


@dataclass(frozen=True, eq=False)
class Element:
    """An element of a stabilizer, a group; word: in the generators, as e, r, r2, r3, m, mr, ..."""

    group: FiniteGroup
    word: str
    garray: GArray

    @cached_property
    def matrix(self):
        """(d, d): how it moves the points of the grid."""
        return self.garray.reparameterize("mat").data

    @cached_property
    def keeps_boxes(self):
        """Whether it turns boxes into boxes; on the hexagonal grid only few elements do."""
        return bool((np.abs(self.matrix).sum(axis=1) == 1).all())

    def moves(self, size):
        """Whether it moves maps of this size: on the hexagonal grid they must hold a hexagon, or it must keep boxes."""
        return self.keeps_boxes or points_of(self.group, size) is not None


@lru_cache(maxsize=64)
def elements_of(group):
    """The Elements of a stabilizer, by words."""
    return {word: Element(group, word, group[i]) for i, word in enumerate(group.stabilizer.words)}


@lru_cache(maxsize=4096)
def _position(fiber, h):
    """Where the element stands in the list of a fiber's group; -1 if it is not in the group."""
    stabilizer = fiber.stabilizer
    return int(stabilizer.index_of(h.matrix)) if stabilizer.ndim == len(h.matrix) else -1


@lru_cache(maxsize=4096)
def _points_moved(h, size, bounds):
    """For each point of the moved map, where it comes from, counted from 1; 0 where nothing comes from."""
    numbers = np.arange(1, np.prod(size) + 1).reshape(1, *size)
    return left_translate(numbers, bounds, h.garray)[0]


@lru_cache(maxsize=1024)
def points_of(bounds, size):
    """The points of a map of this size: booleans, or None if all are; those of the hexagon if a group bounds it."""
    return None if bounds is None else grid_support(bounds.stabilizer, size)


@dataclass(frozen=True)
class Law:
    """One way to move an array with an element of the stabilizer.

    fiber: the group whose elements index a stabilizer axis; None if there is no such axis
    ndim: how many of the last axes are those of the grid; 0 if the pixels are gone
    folded: the stabilizer axis is folded into the channels, (N, C * S, ...) for (N, C, S, ...)
    """

    name: str
    fiber: Optional[FiniteGroup] = None
    ndim: int = 2
    folded: bool = False

    @property
    def pixels(self):
        """Whether the last axes are those of the grid."""
        return self.ndim > 0

    def size(self, shape):
        """The part of an array's shape that is the grid."""
        return tuple(shape[len(shape) - self.ndim :])

    def fits(self, shape):
        """Whether an array of this shape can obey the law."""
        if self.fiber is None:
            return len(shape) > self.ndim or not self.pixels
        if len(shape) != 3 - self.folded + self.ndim:
            return False
        return shape[1] % self.fiber.size == 0 if self.folded else shape[2] == self.fiber.size

    def knows(self, h):
        """Whether the fiber has the element: a map on p4 has turned copies of itself, but no mirrored ones."""
        return self.fiber is None or _position(self.fiber, h) >= 0

    def covers(self, h, shape):
        """Whether the law moves an array of this shape with the element."""
        return self.knows(h) and (not self.pixels or h.moves(self.size(shape)))

    def move(self, x, h, bounds=None):
        """The array moved by an element h that the law covers: (L_h x)[g, p] = x[h^-1 g, R_h^-1 p].

        bounds: the group whose hexagon bounds the map, zero outside of it; None for all of the box
        """
        if self.pixels:
            sources = _points_moved(h, self.size(x.shape), bounds)
            moved = x.reshape(*x.shape[: x.ndim - self.ndim], -1)[..., sources - 1]
            x = moved if sources.all() else np.where(sources > 0, moved, np.zeros((), x.dtype))
        if self.fiber is None:
            return x
        stabilizer = self.fiber.stabilizer
        sources = stabilizer.product[stabilizer.inverse[_position(self.fiber, h)]]
        unfolded = x.reshape(x.shape[0], -1, self.fiber.size, *x.shape[2 if self.folded else 3 :])
        return unfolded[:, :, sources].reshape(x.shape)


INVARIANT = Law("invariant", ndim=0)


def on_grid(group):
    """The law of pictures (N, C, H, W), or volumes (N, C, D, H, W), on the grid of a group."""
    return Law(PICTURES[group.stabilizer.ndim], ndim=group.stabilizer.ndim)


def on_group(fiber, pixels=True, folded=False):
    """The law of a feature map on a group: (N, C, S, H, W), folded (N, C * S, H, W), or without the pixels."""
    words = [f"on {name_of(fiber)}"] + ["folded"] * folded + ["no pixels"] * (not pixels)
    return Law(", ".join(words), fiber, fiber.stabilizer.ndim * pixels, folded)


def fibers_of(group):
    """The known groups that share more than the identity with this one, itself first, then the largest first."""
    ndim = group.stabilizer.ndim
    known = sorted((g for g in GROUPS.values() if g.stabilizer.ndim == ndim), key=lambda g: -g.size)
    shared = {g: sum(_position(g, h) >= 0 for h in elements_of(group).values()) for g in known}
    return [group] + [g for g in known if g is not group and shared[g] > 1]


def laws_for(shape, group, like=None):
    """The laws that an array of this shape can obey in a network under a group, the likeliest first; never empty.

    like: the law of what the array was made from
    """
    fibers = fibers_of(group)
    laws = (
        *(on_group(fiber, pixels) for pixels in (True, False) for fiber in fibers),
        on_grid(group),
        *(on_group(fiber, pixels, folded=True) for pixels in (True, False) for fiber in fibers),
        INVARIANT,
    )
    fitting = [law for law in laws if law.fits(shape)]
    if like is None:
        return fitting
    return sorted(fitting, key=lambda law: (law != like, law.fiber is not like.fiber, law.pixels != like.pixels))


def law_of_input(shape, group):
    """The law of a network's input: (N, C, H, W), or on a group (N, C, S, H, W), in three dimensions (..., D, H, W).

    Raises ValueError for other shapes; for maps on a group that does not have all elements of the one that is
    checked, or on one of several that do; and on the hexagonal grid for all but odd squares.
    """
    ndim = group.stabilizer.ndim
    grid, kind = ("H, W", "pictures") if ndim == 2 else ("D, H, W", "volumes")
    fibers = [g for g in fibers_of(group) if len(shape) == 3 + ndim and shape[2] == g.size]
    is_on_grid = len(shape) == 2 + ndim or (len(shape) == 3 + ndim and shape[2] == 1)
    if not (is_on_grid or fibers) or not np.prod(shape):
        raise ValueError(
            f"x must be {kind} (N, C, {grid}) or feature maps on a group (N, C, S, {grid}), with S as that group "
            f"has orientations, {group.size} of {name_of(group)}, and not empty; got shape {tuple(shape)}."
        )
    if is_on_grid:
        law = on_grid(group)
    elif fibers[0] is group or (len(fibers) == 1 and all(map(on_group(fibers[0]).knows, elements_of(group).values()))):
        law = on_group(fibers[0])
    else:
        names = " or ".join(repr(name_of(g)) for g in fibers)
        raise ValueError(
            f"x has {shape[2]} orientations, so it lies on {names}, and how all elements of {name_of(group)!r} move it "
            "cannot be told. Check it under its own group."
        )
    if not all(law.covers(h, shape) for h in elements_of(group).values()):
        sides = " = ".join("DHW"[-ndim:][axis] for axis in group.stabilizer.odd_axes)
        raise ValueError(
            f"on the hexagonal grid x must have {sides} odd, in axial coordinates, so that it holds a hexagon; got "
            f"size {' x '.join(map(str, law.size(shape)))}."
        )
    return law
