"""Maps between feature maps on a group and on a subgroup of it, with the same translations.

A network may lower its symmetry half way up: the subgroup moves a feature map on the group too, only
that its elements no longer reach all of the stabilizer. The stabilizer H falls into cosets K r of the
smaller one K, and K moves each coset in itself, as it moves K. So a map with C channels on H is one with
C * |H| / |K| channels on K: restriction of the regular representation. The other way, a map on K is one
on H that is zero outside of K: induction of the regular representation, the adjoint of restriction to K.
All of these commute with translations and with the elements of K.
Source: Serre, Linear Representations of Finite Groups (1977), sections 3.3 and 7.2.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from groupy.garray.finitegroup import FiniteGroup
from groupy.gconv.layer_specs import GROUPS, as_group


@dataclass(frozen=True, eq=False)
class Subgroup:
    """A stabilizer in a larger one, as index tables.

    group, subgroup: the stabilizers
    cosets: int64 (|H| / |K|, |K|); cosets[c, a] is the position in the group of k_a r_c; r_0 is the identity
    """

    group: FiniteGroup
    subgroup: FiniteGroup
    cosets: np.ndarray

    @property
    def index(self):
        """The number of cosets, |H| / |K|."""
        return len(self.cosets)

    @property
    def gather(self):
        """int64 (|H|,): where restriction reads, coset after coset."""
        return self.cosets.reshape(-1)

    @property
    def inverse(self):
        """int64 (|H|,): where each element of the group stands among the cosets."""
        return np.argsort(self.gather)


def _positions(H, K):
    """Where the elements of K stand in the list of H; None if they are not all in it."""
    positions = H.index_of(K.matrices) if H.ndim == K.ndim else np.array([-1])
    return None if (positions < 0).any() else positions


@cache
def _subgroup(group, subgroup):
    H, K = group.stabilizer, subgroup.stabilizer
    inside = _positions(H, K)
    if inside is None:
        known = [name for name, other in GROUPS.items() if _positions(H, other.stabilizer) is not None]
        raise ValueError(f"{K.name} is not a subgroup of {H.name}; those of the groups {', '.join(known)} are.")
    cosets, left = [], set(range(H.order))
    while left:
        cosets.append(H.product[inside, min(left)])
        left -= set(cosets[-1].tolist())
    cosets = np.array(cosets)
    cosets.flags.writeable = False
    return Subgroup(group, subgroup, cosets)


def subgroup_of(group, subgroup):
    """The Subgroup; group and subgroup as names ('p4m', 'D4') or FiniteGroups. Made once per process.

    Raises ValueError if one is not known, or the second is not a subgroup of the first.
    """
    return _subgroup(as_group(group), as_group(subgroup))
