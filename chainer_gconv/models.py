"""The networks of the G-CNN paper: x (N, in_channels, H, W) -> scores (N, num_classes).

Each is written once, for the groups in SYMMETRIES. Parameters bear the names that
torch_gconv.models gives them, apart from each framework's own (W: weight, avg_mean: running_mean).
Which input sizes keep equivariance, each class says; docs/models.md has the arithmetic.
`python -m chainer_gconv.models` prints the numbers of parameters beside the published ones.
For another dtype, build and run a network under chainer.using_config("dtype", ...).
Source: Cohen & Welling 2016, arXiv:1602.07576, section 8; details from the code of its experiments,
github.com/tscohen/gconv_experiments. Initial weights are Chainer's, not those of the experiments.
"""

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import Callable

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from chainer_gconv.batch_normalization import GBatchNorm
from chainer_gconv.p4_conv import P4ConvP4, P4ConvZ2
from chainer_gconv.p4m_conv import P4MConvP4M, P4MConvZ2
from chainer_gconv.pooling import coset_max_pooling, plane_group_spatial_max_pooling
from groupy.gconv import published_models
from groupy.gconv.published_models import (
    BATCH_NORM_EPS,
    PublishedModel,
    published_model,
    symmetry_of,
    widths_of,
)


@dataclass(frozen=True)
class Symmetry:
    """What the networks over one group are made of.

    lifting: the first convolution, of pictures; conv: the others, of feature maps
    stabilizer_size: S of the feature maps (N, C, S, H, W); 1 for planar ones, (N, C, H, W)
    """

    lifting: Callable[..., chainer.Link]
    conv: Callable[..., chainer.Link]
    batch_norm: Callable[..., chainer.Link]
    max_pool: Callable[..., chainer.Variable]
    stabilizer_size: int


_planar_norm = partial(L.BatchNormalization, eps=BATCH_NORM_EPS)
_group_norm = partial(GBatchNorm, eps=BATCH_NORM_EPS)
SYMMETRIES = {
    "Z2": Symmetry(L.Convolution2D, L.Convolution2D, _planar_norm, F.max_pooling_2d, stabilizer_size=1),
    "p4": Symmetry(P4ConvZ2, P4ConvP4, _group_norm, plane_group_spatial_max_pooling, stabilizer_size=4),
    "p4m": Symmetry(P4MConvZ2, P4MConvP4M, _group_norm, plane_group_spatial_max_pooling, stabilizer_size=8),
}


class ConvBlock(chainer.Chain):
    """Convolution, batch normalization, ReLU."""

    def __init__(self, conv, bn):
        super().__init__(conv=conv, bn=bn)

    def forward(self, x):
        """(N, I, S_in, H, W) -> (N, O, S_out, H', W')."""
        return F.relu(self.bn(self.conv(x)))


class RotatedMNISTCNN(chainer.Chain):
    """Seven convolutions without padding, max pooling after the second: (N, 1, 28, 28) -> (N, 10).

    num_classes, in_channels: of the scores and the pictures
    channels: of each hidden layer; None for the published number
    dropout: the rate after layers 1, 3, 4, 5 and 6; None for the published one

    The scores are maxima over pixels and stabilizer, so they are invariant where the layers are
    equivariant. Pictures are at least 28 x 28. The pooling takes maps of H - 4 rows by pairs: even
    sizes keep equivariance, 28 among them, and odd ones do not.
    """

    published: PublishedModel
    symmetry: Symmetry
    block = ConvBlock
    published_dropout = 0.0

    def __init__(self, num_classes=10, in_channels=1, channels=None, dropout=None):
        super().__init__()
        layers = self.symmetry
        (channels,) = self.published.widths if channels is None else (channels,)
        self.dropout = self.published_dropout if dropout is None else dropout
        with self.init_scope():
            self.l1 = self._block(layers.lifting, in_channels, channels)
            self.l2 = self._block(layers.conv, channels, channels)
            self.l3 = self._block(layers.conv, channels, channels)
            self.l4 = self._block(layers.conv, channels, channels)
            self.l5 = self._block(layers.conv, channels, channels)
            self.l6 = self._block(layers.conv, channels, channels)
            self.top = layers.conv(channels, num_classes, 4)

    def _block(self, conv, in_channels, out_channels):
        return self.block(conv(in_channels, out_channels, 3), self.symmetry.batch_norm(out_channels))

    def features(self, x):
        """The maps before pooling, (N, in_channels, H, W) -> (N, num_classes, S, H', W'); without S over Z2."""
        x = self.l2(F.dropout(self.l1(x), self.dropout))
        x = self.symmetry.max_pool(x, 2, cover_all=False)
        for layer in (self.l3, self.l4, self.l5, self.l6):
            x = F.dropout(layer(x), self.dropout)
        return self.top(x)

    def forward(self, x):
        """(N, in_channels, H, W) -> (N, num_classes)."""
        y = self.features(x)
        return F.max(y, axis=tuple(range(2, y.ndim)))


class Z2CNN(RotatedMNISTCNN):
    """The planar network for rotated MNIST: 20 channels. Arguments and sizes: see RotatedMNISTCNN.

    It is equivariant to translations alone.
    """

    published = published_model("Z2CNN", "Z2")
    symmetry = SYMMETRIES["Z2"]
    published_dropout = 0.3


class P4CNN(RotatedMNISTCNN):
    """The same network of p4-convolutions, with 10 channels of 4 orientations. See RotatedMNISTCNN.

    The published experiments trained it without dropout.
    """

    published = published_model("P4CNN", "p4")
    symmetry = SYMMETRIES["p4"]


class RotationPoolingBlock(ConvBlock):
    """Lifting convolution, batch normalization, ReLU, maximum over the orientations."""

    def forward(self, x):
        """(N, I, H, W) -> (N, O, H', W')."""
        return coset_max_pooling(super().forward(x))


class P4CNNRotationPooling(RotatedMNISTCNN):
    """The same network of lifting convolutions, each followed by a maximum over the orientations: 20 channels.

    Its maps are planar between the layers, and its last one's are on p4. See RotatedMNISTCNN.
    """

    published = published_model("P4CNNRotationPooling", "p4")
    # Each layer lifts anew, since coset pooling takes the maps back to the plane.
    symmetry = replace(SYMMETRIES["p4"], conv=P4ConvZ2, max_pool=F.max_pooling_2d)
    block = RotationPoolingBlock


class AllCNNC(chainer.Chain):
    """All-CNN-C, convolutions alone: (N, 3, 32, 32) -> (N, 10).

    group: "Z2", "p4" or "p4m"
    num_classes, in_channels: of the scores and the pictures
    widths: channels of layers 1 to 3 and of layers 4 to 8; None for the published numbers

    The scores are means over pixels and stabilizer. Layers 3 and 6 have stride 2, kernel 3 and
    padding 1, for which (H + 2 - 3) % 2 must be 0: the published size breaks equivariance, 32 and
    then 16 rows being even. Sizes 1 more than a multiple of 4 keep it: 29, 33 (then 17, then 9), 37.
    Source: Springenberg et al. 2015, arXiv:1412.6806; here with batch normalization, as published
    in Cohen & Welling 2016.
    """

    def __init__(self, group, num_classes=10, in_channels=3, widths=None):
        super().__init__()
        layers = symmetry_of("AllCNNC", SYMMETRIES, group)
        narrow, wide = widths_of("AllCNNC", group, widths, length=2)

        def block(conv, in_channels, out_channels, ksize=3, stride=1):
            conv = conv(in_channels, out_channels, ksize, stride=stride, pad=ksize // 2)
            return ConvBlock(conv, layers.batch_norm(out_channels))

        with self.init_scope():
            self.l1 = block(layers.lifting, in_channels, narrow)
            self.l2 = block(layers.conv, narrow, narrow)
            self.l3 = block(layers.conv, narrow, narrow, stride=2)
            self.l4 = block(layers.conv, narrow, wide)
            self.l5 = block(layers.conv, wide, wide)
            self.l6 = block(layers.conv, wide, wide, stride=2)
            self.l7 = block(layers.conv, wide, wide)
            self.l8 = block(layers.conv, wide, wide, ksize=1)
            self.l9 = block(layers.conv, wide, num_classes, ksize=1)

    def features(self, x):
        """The maps before pooling, (N, in_channels, H, W) -> (N, num_classes, S, H', W'); without S over Z2."""
        x = self.l3(self.l2(self.l1(F.dropout(x, 0.2))))
        x = self.l6(self.l5(self.l4(F.dropout(x, 0.5))))
        return self.l9(self.l8(self.l7(F.dropout(x, 0.5))))

    def forward(self, x):
        """(N, in_channels, H, W) -> (N, num_classes)."""
        return _global_mean(self.features(x))


class ResidualBlock(chainer.Chain):
    """Two 3 x 3 convolutions, normalization and ReLU before each, and a shortcut past them.

    x: (N, I, S, H, W) -> y: (N, O, S, H', W'), H' = ceil(H / stride); planar maps for planar layers
        y = shortcut(x) + conv2(relu(bn2(conv1(relu(bn1(x))))))

    conv: the class of the convolutions, as P4MConvP4M or chainer.links.Convolution2D
    stride: of the first convolution and of the shortcut
    batch_norm: what normalizes conv's feature maps

    The shortcut is the identity, or where the shape changes a 1 x 1 convolution. At stride 2 the block
    keeps equivariance for odd H and W alone, since (H + 2 - 3) % 2 = (H - 1) % 2 must be 0.
    Source: He et al. 2016, arXiv:1603.05027, figure 4(e).
    """

    def __init__(self, conv, in_channels, out_channels, stride=1, *, batch_norm=GBatchNorm):
        super().__init__()
        keeps_shape = in_channels == out_channels and stride == 1
        with self.init_scope():
            self.bn1 = batch_norm(in_channels)
            self.conv1 = conv(in_channels, out_channels, 3, stride=stride, pad=1)
            self.bn2 = batch_norm(out_channels)
            self.conv2 = conv(out_channels, out_channels, 3, pad=1)
            self.shortcut = None if keeps_shape else conv(in_channels, out_channels, 1, stride=stride)

    def forward(self, x):
        """(N, I, S, H, W) -> (N, O, S, H', W')."""
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        return y + (x if self.shortcut is None else self.shortcut(x))


class Stage(chainer.ChainList):
    """Blocks, one after another."""

    # Not chainer.Sequential, which in 7.8 numbers all links after the first in reverse, in the parameters' names.
    def forward(self, x):
        """What the last block makes of it."""
        for block in self:
            x = block(x)
        return x


class ResNet44(chainer.Chain):
    """A residual network of 44 layers, 3 stages of 7 blocks: (N, 3, 32, 32) -> (N, 10).

    group: "Z2", "p4" or "p4m"; p4 was not published, and needs widths
    num_classes, in_channels: of the scores and the pictures
    widths: channels of the three stages; None for the published numbers
    blocks: in each stage; the network has 6 * blocks + 2 layers
    invariant: take the mean over the stabilizer too before the last layer. As published, that layer
        has a weight for each orientation, so turning the picture changes the scores.

    The second and third stage begin with stride 2, kernels 3 and 1, paddings 1 and 0, for which
    (H - 1) % 2 must be 0: the published size breaks equivariance, 32 and then 16 rows being even.
    Sizes 1 more than a multiple of 4 keep it: 29, 33 (then 17, then 9), 37.
    """

    def __init__(self, group, num_classes=10, in_channels=3, widths=None, blocks=7, invariant=False):
        super().__init__()
        layers = symmetry_of("ResNet44", SYMMETRIES, group)
        narrow, middle, wide = widths_of("ResNet44", group, widths, length=3)

        def stage(in_channels, out_channels, stride):
            shapes = [(in_channels, out_channels, stride)] + [(out_channels, out_channels, 1)] * (blocks - 1)
            make = partial(ResidualBlock, layers.conv, batch_norm=layers.batch_norm)
            return Stage(*(make(*shape) for shape in shapes))

        self.pool = _global_mean if invariant else _pixel_mean
        with self.init_scope():
            self.conv = layers.lifting(in_channels, narrow, 3, pad=1)
            self.stage1 = stage(narrow, narrow, 1)
            self.stage2 = stage(narrow, middle, 2)
            self.stage3 = stage(middle, wide, 2)
            self.bn = layers.batch_norm(wide)
            self.head = L.Linear(wide if invariant else wide * layers.stabilizer_size, num_classes)

    def features(self, x):
        """The maps before pooling, (N, in_channels, H, W) -> (N, widths[2], S, H', W'); without S over Z2."""
        return F.relu(self.bn(self.stage3(self.stage2(self.stage1(self.conv(x))))))

    def forward(self, x):
        """(N, in_channels, H, W) -> (N, num_classes)."""
        return self.head(self.pool(self.features(x)))


def _global_mean(x):
    """The mean over pixels and stabilizer: (N, C, S, H, W) or (N, C, H, W) -> (N, C)."""
    return F.mean(x, axis=tuple(range(2, x.ndim)))


def _pixel_mean(x):
    """The mean over pixels of each orientation by itself: (N, C, S, H, W) or (N, C, H, W) -> (N, C * S) or (N, C)."""
    return F.reshape(F.mean(x, axis=(-2, -1)), (x.shape[0], -1))


MODELS = {model.__name__: model for model in (Z2CNN, P4CNN, P4CNNRotationPooling, AllCNNC, ResNet44)}


def build(published, **options):
    """The network that a row of PUBLISHED_MODELS describes."""
    return MODELS[published.name](*published.arguments, **options)


def count_parameters(model):
    """The number of learnt numbers; running statistics are not among them."""
    return model.count_params()


def run(model, shape):
    """Run a network on zeros of a shape."""
    with chainer.using_config("train", False), chainer.no_backprop_mode():
        model(np.zeros(shape, np.float32))


if __name__ == "__main__":
    sys.exit(published_models.main(sys.modules[__name__], "chainer_gconv.models"))
