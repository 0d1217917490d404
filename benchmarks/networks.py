"""The published networks that are trained, and the batch that they learn from; of no framework."""

import warnings
from contextlib import contextmanager

import numpy as np

from benchmarks.sizes import CLASSES
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.published_models import published_model

# By the name that a NetworkShape has: rows of groupy.gconv.published_models.
NETWORKS = {"P4CNN": published_model("P4CNN", "p4"), "P4MResNet44": published_model("ResNet44", "p4m")}

# So low a rate that hundreds of steps with one batch leave the numbers of a size at which all arithmetic is as fast.
LEARNING_RATE, MOMENTUM = 1e-3, 0.9


def batch_of(shape):
    """(pictures, labels) for a NetworkShape: normally distributed (N, C, H, W), float32, and int32 (N,)."""
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((shape.batch, *NETWORKS[shape.network].input_shape), np.float32)
    return pictures, rng.integers(CLASSES, size=shape.batch, dtype=np.int32)


@contextmanager
def published_sizes():
    """Without the warnings that the published ResNet44 breaks equivariance where it strides over even sizes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)
        yield
