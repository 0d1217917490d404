"""FiniteGroup: a flat GArray that lists every element of a group once."""


class FiniteGroup:
    """Mixin for a GArray that holds a whole finite group, in a fixed order.

    Use as `class C4Group(FiniteGroup, C4Array)`: call C4Array.__init__ with the list of
    elements, then FiniteGroup.__init__. Indexing, reshaping and products give plain arrays of
    `garray_type`, since a part of a group is not a group.

    Raises TypeError if the class does not derive from garray_type; ValueError if the list is
    not flat, repeats an element, or is not closed under products and inverses.
    """

    def __init__(self, garray_type):
        if not isinstance(self, garray_type):
            raise TypeError(f"{type(self).__name__} must derive from {garray_type.__name__}, the type of its elements.")
        self.garray_type = garray_type
        if self.ndim != 1:
            raise ValueError(f"{type(self).__name__}: a group is a flat GArray, got shape {self.shape}.")
        elements = self[:]
        if ((elements[:, None] == elements[None, :]).sum(axis=1) != 1).any():
            raise ValueError(f"{type(self).__name__}: an element is listed twice.")
        if not _all_in(elements.inv(), elements):
            raise ValueError(f"{type(self).__name__}: the elements are not closed under inverses.")
        if not _all_in((elements[:, None] * elements[None, :]).flatten(), elements):
            raise ValueError(f"{type(self).__name__}: the elements are not closed under products.")

    def factory(self, data, p="int"):
        return self.garray_type(data=data, p=p)

    def __eq__(self, other):
        # Two lists of the same group are one group: a plain bool, as `C4 == C4` reads.
        if isinstance(other, FiniteGroup):
            return type(self) is type(other)
        return super().__eq__(other)

    def __ne__(self, other):
        equal = self.__eq__(other)
        return not equal if isinstance(equal, bool) else super().__ne__(other)

    def __hash__(self):
        return hash(type(self))


def _all_in(elements, group):
    return bool((elements[:, None] == group[None, :]).any(axis=1).all())
