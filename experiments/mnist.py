"""MNIST's digits as pictures and as volumes, from its gzipped IDX files.

IDX: two zero bytes, the type (8 for unsigned bytes), the number of axes, each axis as a big-endian int32, the values.
Source: yann.lecun.com/exdb/mnist, "file formats".
"""

import gzip
import struct

import numpy as np

PARTS = {"train": "train", "test": "t10k"}


def read_digits(folder, part, count):
    """The first digits of a part: images uint8 (count, 28, 28), labels int64 (count,).

    folder: a Path; part: 'train' or 'test'
    Raises OSError or ValueError, naming the file, if they cannot be read or are too few.
    """
    path = folder / f"{PARTS[part]}-images-idx3-ubyte.gz"
    images, labels = _read_idx(path), _read_idx(folder / f"{PARTS[part]}-labels-idx1-ubyte.gz")
    if len(images) != len(labels) or len(images) < count:
        raise ValueError(f"{path} has {len(images)} images, with {len(labels)} labels; {count} digits are due.")
    return images[:count], labels[:count].astype(np.int64)


def as_pictures(images):
    """Images uint8 (N, 28, 28) -> float32 (N, 1, 28, 28), 0 to 1."""
    return (images / np.float32(255))[:, None]


def as_volumes(images):
    """Images uint8 (N, 28, 28) -> float32 (N, 1, 10, 10, 10), 0 to 1: each digit as a slab, 2 voxels thick, tilted.

    The middle 20 x 20 pixels, as means over 2 x 2, are the digit (v, w), 10 x 10. Row v of it lies at the depths
    u = 2 + v // 2 and one more: the slab leans back by 1 voxel every 2 rows. All other voxels are 0.
    """
    middle = images[:, 4:24, 4:24] / np.float32(255)
    digits = middle.reshape(-1, 10, 2, 10, 2).mean((2, 4))
    volumes = np.zeros((len(images), 1, 10, 10, 10), np.float32)
    v = np.arange(10)
    for thickness in range(2):
        # Indices on both sides of a slice: NumPy puts their axis, v, first.
        volumes[:, 0, 2 + v // 2 + thickness, v] = digits
    return volumes


def _read_idx(path):
    try:
        with gzip.open(path) as file:
            data = file.read()
        zeros, kind, axes = struct.unpack_from(">HBB", data)
        shape = struct.unpack_from(f">{axes}I", data, 4)
    except (EOFError, gzip.BadGzipFile, struct.error) as error:
        raise ValueError(f"{path} is not an IDX file of bytes, gzipped.") from error
    if zeros != 0 or kind != 8 or len(data) != 4 + 4 * axes + np.prod(shape):
        raise ValueError(f"{path} is not an IDX file of bytes.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
