"""The subjects of the checks: layers and small networks, and the sizes they are tried at.

Sizes are as small as the property allows: the reference visits every (h, g, tap) in a loop.
"""

from dataclasses import dataclass
from typing import Optional

from conformance.network import BatchNorm, Conv, CosetMaxPool, ReLU, SpatialMaxPool
from conformance.pictures import Picture
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.garray.finitegroup import FiniteGroup
from groupy.gconv.layer_specs import LAYER_SPECS


@dataclass(frozen=True)
class Subject:
    """What is built and run: a network, the shape (N, C, S, H, W) of its input, its dtype.

    picture: the input, if it is not to be drawn at random
    """

    name: str
    network: tuple
    group: FiniteGroup
    x_shape: tuple
    dtype: str
    training: bool = False
    picture: Optional[Picture] = None


# ksize, stride, pad, in channels, out channels, batch, (H, W), dtype, and options of Conv.
# Every size keeps equivariance: (size + 2 * pad - ksize) is a multiple of the stride.
_LAYER_SIZES: tuple = (
    (1, 1, 0, 1, 1, 1, (5, 5), "float32", {}),  # the smallest of everything
    (2, 1, 0, 2, 3, 2, (6, 6), "float32", {}),  # even: turns about a corner
    (3, 1, 1, 3, 4, 2, (8, 8), "float32", {}),  # the usual layer
    (3, 1, 1, 3, 4, 2, (8, 8), "float64", {}),
    (3, 2, 1, 2, 2, 3, (9, 9), "float32", {}),  # strided
    (4, 1, 2, 2, 3, 1, (7, 7), "float64", {}),
    (5, 1, 2, 2, 4, 4, (8, 10), "float32", {}),  # a picture that is not square
    (6, 2, 1, 1, 2, 2, (10, 10), "float32", {}),  # even and strided
    (7, 1, 3, 1, 2, 1, (9, 9), "float64", {}),
    (3, 1, 0, 32, 32, 1, (5, 5), "float32", {}),  # the longest sums: 32 * 8 * 9 terms
    (3, 1, 1, 1, 32, 8, (6, 6), "float32", {"bias": False}),
    (3, 1, 1, 4, 4, 2, (7, 7), "float32", {"masked": True}),
    (3, 3, 0, 2, 2, 2, (9, 9), "float64", {"bias": False}),
    (2, 2, 0, 4, 2, 1, (8, 8), "float64", {"masked": True}),
)


def layer_subjects():
    """Every layer at every size."""
    return [_layer_subject(layer, *size) for layer in LAYER_SPECS for size in _LAYER_SIZES]


def _layer_subject(layer, ksize, stride, pad, I, O, N, size, dtype, options):
    spec = LAYER_SPECS[layer]
    name = f"{layer}/k{ksize}-s{stride}-p{pad}-i{I}-o{O}-n{N}-{size[0]}x{size[1]}"
    name += "".join({"bias": "-nobias", "masked": "-masked"}[option] for option in options)
    conv = Conv(layer, I, O, ksize, stride, pad, **options)
    x_shape = (N, I, spec.input_stabilizer_size, *size)
    return Subject(f"{name}-{dtype}", (conv,), spec.group, x_shape, dtype)


def network_subjects():
    """Small networks of everything: convolutions, batch normalization, ReLU, both poolings."""
    subjects = []
    for lifting, group_conv, group in (("P4ConvZ2", "P4ConvP4", C4), ("P4MConvZ2", "P4MConvP4M", D4)):
        # With eps 1 and the variances of conformance.data, 1 / sqrt(var + eps) is exactly 1/2.
        norm = BatchNorm(4, eps=1.0, momentum=0.5)
        body = (Conv(lifting, 3, 4, 3, 1, 1), norm, ReLU(), SpatialMaxPool(2, 2), Conv(group_conv, 4, 4, 3, 1, 1))
        for dtype in ("float32", "float64"):
            name = f"{lifting}-{group_conv}"
            x_shape = (2, 3, 1, 20, 20)
            subjects.append(Subject(f"{name}-network/{dtype}", body, group, x_shape, dtype))
            invariant = body + (norm, ReLU(), CosetMaxPool())
            subjects.append(Subject(f"{name}-invariant-network/{dtype}", invariant, group, x_shape, dtype))
    return subjects


def companion_subjects():
    """Pooling and batch normalization by themselves, on feature maps of both groups."""
    subjects = []
    for group, S in ((C4, 4), (D4, 8)):
        for dtype in ("float32", "float64"):
            for name, operation, size, training in (
                ("coset-max-pool", CosetMaxPool(), 5, False),
                ("spatial-max-pool-k2-s2", SpatialMaxPool(2, 2), 8, False),
                ("spatial-max-pool-k3-s2", SpatialMaxPool(3, 2), 9, False),
                ("relu", ReLU(), 4, False),
                ("batch-norm", BatchNorm(3, eps=1.0, momentum=0.5), 4, False),
                # Two batches of 4 x 4 pixels: a power of two values to average, so that means are exact.
                ("batch-norm-training", BatchNorm(3, eps=3.0, momentum=0.5), 4, True),
            ):
                x_shape = (2, 3, S, size, size)
                subjects.append(
                    Subject(
                        f"{name}-on-{'p4' if S == 4 else 'p4m'}/{dtype}", (operation,), group, x_shape, dtype, training
                    )
                )
    return subjects


def picture_subjects(pictures):
    """Two convolutions on each picture's own pixels, over p4 and over p4m.

    With pixels up to 255 and weights up to 2, the longest sum is below 2 * 4 * 8 * 9 * (2 * 3 * 9 * 255 + 2) < 2^24.
    """
    subjects = []
    for picture in pictures:
        N, channels, H, W = picture.pixels.shape
        for lifting, group_conv, group in (("P4ConvZ2", "P4ConvP4", C4), ("P4MConvZ2", "P4MConvP4M", D4)):
            network = (Conv(lifting, channels, 4, 3, 1, 1), ReLU(), Conv(group_conv, 4, 4, 3, 1, 1))
            name = f"picture/{picture.name}/{lifting}-{group_conv}"
            subjects.append(Subject(name, network, group, (N, channels, 1, H, W), "float32", picture=picture))
    return subjects


def subjects():
    """All that need no picture."""
    return layer_subjects() + companion_subjects() + network_subjects()


def is_in_self_test(subject_name):
    """Whether planted faults are tried on a subject: one of each kind that a fault could hide from."""
    kinds = (
        "k3-s1-p1-i3-o4-n2-8x8-float32",
        "k4-",
        "masked-float32",
        "-on-p4/float32",
        "-on-p4m/float32",
        "network/float32",
    )
    return any(kind in subject_name for kind in kinds)
