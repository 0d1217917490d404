"""How much a convolution on the CPU works on at a time: as much as stays in the processor's cache.

A convolution spreads each point of its input to many numbers (chainer_gconv.patches, chainer_gconv.winograd), and
multiplies these. One block of images, or of rows of one image, after the other, they are still in the cache when
they are multiplied, and take a few megabytes, however large the batch.
"""

_NUMBERS = 2**19  # of a block: 2 MiB in float32


def blocks(n_images, n_rows, points_of_row, numbers_of_point, least_points):
    """(slices of images, slices of rows): each of the first with each of the second is one block.

    numbers_of_point: what one point is spread to
    least_points: of a block, if there are as many, for the sake of the multiplication
    """
    points = max(_NUMBERS // numbers_of_point, least_points)
    return _slices(n_images, -(-points // (n_rows * points_of_row))), _slices(n_rows, -(-points // points_of_row))


def _slices(length, least):
    """As many slices of at least that length as there can be, all alike; none is longer than the first."""
    count = max(length // least, 1)
    ends = [-(-length * i // count) for i in range(count + 1)]
    return [slice(*between) for between in zip(ends, ends[1:])]
