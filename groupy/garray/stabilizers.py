"""The stabilizers of this library, as generators on the grid.

Points are (u, v), rows pointing down and columns; on the hexagonal grid these are axial coordinates,
in which a turn by 60 degrees is an integer matrix too: u points down, v down to the left, at 60 degrees
to it. In three dimensions they are (u, v, w), the axes D, H, W of a volume, and r turns the slices
(v, w) as it turns a picture. A group lists the products of its generators in the order given here, the
first parameter slowest.
Sources: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), sections 4.2 and 4.3; HexaConv paper
(Hoogeboom et al. 2018, arXiv:1803.02108), section 3; International Tables for Crystallography A, section 10.1.
"""

import numpy as np

from groupy.garray.stabilizer import Stabilizer

# The square grid.
QUARTER_TURN = ((0, -1), (1, 0))  # (u, v) -> (-v, u): counterclockwise
HALF_TURN = ((-1, 0), (0, -1))
MIRROR = ((-1, 0), (0, 1))  # (u, v) -> (-u, v)
LEFT_RIGHT = ((1, 0), (0, -1))  # (u, v) -> (u, -v)

D1 = Stabilizer.generated("D1", m=(LEFT_RIGHT, 2))
C2 = Stabilizer.generated("C2", r=(HALF_TURN, 2))
D2 = Stabilizer.generated("D2", m=(MIRROR, 2), r=(HALF_TURN, 2))
C4 = Stabilizer.generated("C4", r=(QUARTER_TURN, 4))
D4 = Stabilizer.generated("D4", m=(MIRROR, 2), r=(QUARTER_TURN, 4))

# The hexagonal grid.
SIXTH_TURN = ((1, 1), (-1, 0))  # (u, v) -> (u + v, -u): counterclockwise
HEXAGONAL_MIRROR = ((-1, -1), (0, 1))  # (u, v) -> (-u - v, v): upside down

C6 = Stabilizer.generated("C6", r=(SIXTH_TURN, 6))
D6 = Stabilizer.generated("D6", m=(HEXAGONAL_MIRROR, 2), r=(SIXTH_TURN, 6))

# The cubic grid.
SLICE_TURN = ((1, 0, 0), (0, 0, -1), (0, 1, 0))  # (u, v, w) -> (u, -w, v): a quarter turn of each slice
SLICE_MIRROR = np.diag((1, -1, 1))  # (u, v, w) -> (u, -v, w): MIRROR of each slice
HORIZONTAL_MIRROR = np.diag((-1, 1, 1))  # (u, v, w) -> (-u, v, w): the slices in reverse order
DIAGONAL_TURN = ((0, 0, 1), (1, 0, 0), (0, 1, 0))  # (u, v, w) -> (w, u, v): a third turn about the cube's diagonal
TUMBLE = np.diag((-1, 1, -1))  # (u, v, w) -> (-u, v, -w): a half turn that puts the top slice at the bottom
INVERSION = -np.eye(3, dtype=int)

C4h = Stabilizer.generated("C4h", h=(HORIZONTAL_MIRROR, 2), r=(SLICE_TURN, 4))
D4h = Stabilizer.generated("D4h", h=(HORIZONTAL_MIRROR, 2), m=(SLICE_MIRROR, 2), r=(SLICE_TURN, 4))
O = Stabilizer.generated("O", d=(DIAGONAL_TURN, 3), t=(TUMBLE, 2), r=(SLICE_TURN, 4))
Oh = Stabilizer.generated("Oh", i=(INVERSION, 2), d=(DIAGONAL_TURN, 3), t=(TUMBLE, 2), r=(SLICE_TURN, 4))
