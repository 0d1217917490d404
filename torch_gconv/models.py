"""The networks of the G-CNN paper: x (N, in_channels, H, W) -> scores (N, num_classes).

Each is written once, for the groups in SYMMETRIES. Parameters bear the names that
chainer_gconv.models gives them, apart from each framework's own (weight: W, running_mean: avg_mean).
Which input sizes keep equivariance, each class says; docs/models.md has the arithmetic.
`python -m torch_gconv.models` prints the numbers of parameters beside the published ones.
Source: Cohen & Welling 2016, arXiv:1602.07576, section 8; details from the code of its experiments,
github.com/tscohen/gconv_experiments. Initial weights are the layers' own, not those of the experiments.
"""

import sys
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from typing import Callable

import torch
from torch import nn

from groupy.gconv import published_models
from groupy.gconv.published_models import (
    BATCH_NORM_EPS,
    PublishedModel,
    published_model,
    symmetry_of,
    widths_of,
)
from torch_gconv.batch_normalization import GBatchNorm
from torch_gconv.p4_conv import P4ConvP4, P4ConvZ2
from torch_gconv.p4m_conv import P4MConvP4M, P4MConvZ2
from torch_gconv.pooling import CosetMaxPool, GGlobalMaxPool, GGlobalMeanPool, GMaxPool2d
from torch_gconv.residual import GResidualBlock


@dataclass(frozen=True)
class Symmetry:
    """What the networks over one group are made of.

    lifting: the first convolution, of pictures; conv: the others, of feature maps
    stabilizer_size: S of the feature maps (N, C, S, H, W); 1 for planar ones, (N, C, H, W)
    """

    lifting: Callable[..., nn.Module]
    conv: Callable[..., nn.Module]
    batch_norm: Callable[..., nn.Module]
    max_pool: Callable[..., nn.Module]
    stabilizer_size: int


_planar_norm = partial(nn.BatchNorm2d, eps=BATCH_NORM_EPS)
_group_norm = partial(GBatchNorm, eps=BATCH_NORM_EPS)
SYMMETRIES = {
    "Z2": Symmetry(nn.Conv2d, nn.Conv2d, _planar_norm, nn.MaxPool2d, stabilizer_size=1),
    "p4": Symmetry(P4ConvZ2, P4ConvP4, _group_norm, GMaxPool2d, stabilizer_size=4),
    "p4m": Symmetry(P4MConvZ2, P4MConvP4M, _group_norm, GMaxPool2d, stabilizer_size=8),
}


class ConvBlock(nn.Sequential):
    """Convolution, batch normalization, ReLU."""

    def __init__(self, conv, bn):
        super().__init__(OrderedDict(conv=conv, bn=bn, relu=nn.ReLU()))


class RotatedMNISTCNN(nn.Module):
    """Seven convolutions without padding, max pooling after the second: (N, 1, 28, 28) -> (N, 10).

    num_classes, in_channels: of the scores and the pictures
    channels: of each hidden layer; None for the published number
    dropout: the rate after layers 1, 3, 4, 5 and 6; None for the published one
    device, dtype: of the parameters

    The scores are maxima over pixels and stabilizer, so they are invariant where the layers are
    equivariant. Pictures are at least 28 x 28. The pooling takes maps of H - 4 rows by pairs: even
    sizes keep equivariance, 28 among them, and odd ones do not.
    """

    published: PublishedModel
    symmetry: Symmetry
    block = ConvBlock
    published_dropout = 0.0

    def __init__(self, num_classes=10, in_channels=1, channels=None, dropout=None, device=None, dtype=None):
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        layers = self.symmetry
        (channels,) = self.published.widths if channels is None else (channels,)
        self.l1 = self._block(layers.lifting, in_channels, channels, factory)
        self.l2 = self._block(layers.conv, channels, channels, factory)
        self.max_pool = layers.max_pool(2)
        self.l3 = self._block(layers.conv, channels, channels, factory)
        self.l4 = self._block(layers.conv, channels, channels, factory)
        self.l5 = self._block(layers.conv, channels, channels, factory)
        self.l6 = self._block(layers.conv, channels, channels, factory)
        self.top = layers.conv(channels, num_classes, 4, **factory)
        self.dropout = nn.Dropout(self.published_dropout if dropout is None else dropout)
        self.pool = GGlobalMaxPool(layers.stabilizer_size)

    def _block(self, conv, in_channels, out_channels, factory):
        bn = self.symmetry.batch_norm(out_channels, **factory)
        return self.block(conv(in_channels, out_channels, 3, **factory), bn)

    def features(self, x):
        """The maps before pooling, (N, in_channels, H, W) -> (N, num_classes, S, H', W'); without S over Z2."""
        x = self.max_pool(self.l2(self.dropout(self.l1(x))))
        x = self.dropout(self.l4(self.dropout(self.l3(x))))
        x = self.dropout(self.l6(self.dropout(self.l5(x))))
        return self.top(x)

    def forward(self, x):
        """(N, in_channels, H, W) -> (N, num_classes)."""
        return self.pool(self.features(x))


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

    def __init__(self, conv, bn):
        super().__init__(conv, bn)
        self.coset_pool = CosetMaxPool()


class P4CNNRotationPooling(RotatedMNISTCNN):
    """The same network of lifting convolutions, each followed by a maximum over the orientations: 20 channels.

    Its maps are planar between the layers, and its last one's are on p4. See RotatedMNISTCNN.
    """

    published = published_model("P4CNNRotationPooling", "p4")
    # Each layer lifts anew, since coset pooling takes the maps back to the plane.
    symmetry = replace(SYMMETRIES["p4"], conv=P4ConvZ2)
    block = RotationPoolingBlock


class AllCNNC(nn.Module):
    """All-CNN-C, convolutions alone: (N, 3, 32, 32) -> (N, 10).

    group: "Z2", "p4" or "p4m"
    num_classes, in_channels: of the scores and the pictures
    widths: channels of layers 1 to 3 and of layers 4 to 8; None for the published numbers
    device, dtype: of the parameters

    The scores are means over pixels and stabilizer. Layers 3 and 6 have stride 2, kernel 3 and
    padding 1, for which (H + 2 - 3) % 2 must be 0: the published size breaks equivariance, 32 and
    then 16 rows being even. Sizes 1 more than a multiple of 4 keep it: 29, 33 (then 17, then 9), 37.
    Source: Springenberg et al. 2015, arXiv:1412.6806; here with batch normalization, as published
    in Cohen & Welling 2016.
    """

    def __init__(self, group, num_classes=10, in_channels=3, widths=None, device=None, dtype=None):
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        layers = symmetry_of("AllCNNC", SYMMETRIES, group)
        narrow, wide = widths_of("AllCNNC", group, widths, length=2)

        def block(conv, in_channels, out_channels, kernel_size=3, stride=1):
            conv = conv(in_channels, out_channels, kernel_size, stride, kernel_size // 2, **factory)
            return ConvBlock(conv, layers.batch_norm(out_channels, **factory))

        self.input_dropout = nn.Dropout(0.2)
        self.dropout = nn.Dropout(0.5)
        self.l1 = block(layers.lifting, in_channels, narrow)
        self.l2 = block(layers.conv, narrow, narrow)
        self.l3 = block(layers.conv, narrow, narrow, stride=2)
        self.l4 = block(layers.conv, narrow, wide)
        self.l5 = block(layers.conv, wide, wide)
        self.l6 = block(layers.conv, wide, wide, stride=2)
        self.l7 = block(layers.conv, wide, wide)
        self.l8 = block(layers.conv, wide, wide, kernel_size=1)
        self.l9 = block(layers.conv, wide, num_classes, kernel_size=1)
        self.pool = GGlobalMeanPool(layers.stabilizer_size)

    def features(self, x):
        """The maps before pooling, (N, in_channels, H, W) -> (N, num_classes, S, H', W'); without S over Z2."""
        x = self.l3(self.l2(self.l1(self.input_dropout(x))))
        x = self.l6(self.l5(self.l4(self.dropout(x))))
        return self.l9(self.l8(self.l7(self.dropout(x))))

    def forward(self, x):
        """(N, in_channels, H, W) -> (N, num_classes)."""
        return self.pool(self.features(x))


class PixelMean(nn.Module):
    """The mean over pixels of each orientation by itself: (N, C, S, H, W) or (N, C, H, W) -> (N, C * S) or (N, C)."""

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C * S)."""
        return x.mean((-2, -1)).flatten(1)


class ResNet44(nn.Module):
    """A residual network of 44 layers, 3 stages of 7 blocks: (N, 3, 32, 32) -> (N, 10).

    group: "Z2", "p4" or "p4m"; p4 was not published, and needs widths
    num_classes, in_channels: of the scores and the pictures
    widths: channels of the three stages; None for the published numbers
    blocks: in each stage; the network has 6 * blocks + 2 layers
    invariant: take the mean over the stabilizer too before the last layer. As published, that layer
        has a weight for each orientation, so turning the picture changes the scores.
    device, dtype: of the parameters

    The second and third stage begin with stride 2, kernels 3 and 1, paddings 1 and 0, for which
    (H - 1) % 2 must be 0: the published size breaks equivariance, 32 and then 16 rows being even.
    Sizes 1 more than a multiple of 4 keep it: 29, 33 (then 17, then 9), 37.
    """

    def __init__(
        self, group, num_classes=10, in_channels=3, widths=None, blocks=7, invariant=False, device=None, dtype=None
    ):
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        layers = symmetry_of("ResNet44", SYMMETRIES, group)
        narrow, middle, wide = widths_of("ResNet44", group, widths, length=3)

        def stage(in_channels, out_channels, stride):
            shapes = [(in_channels, out_channels, stride)] + [(out_channels, out_channels, 1)] * (blocks - 1)
            make = partial(GResidualBlock, layers.conv, batch_norm=layers.batch_norm, **factory)
            return nn.Sequential(*(make(*shape) for shape in shapes))

        self.conv = layers.lifting(in_channels, narrow, 3, 1, 1, **factory)
        self.stage1 = stage(narrow, narrow, 1)
        self.stage2 = stage(narrow, middle, 2)
        self.stage3 = stage(middle, wide, 2)
        self.bn = layers.batch_norm(wide, **factory)
        self.relu = nn.ReLU()
        self.pool = GGlobalMeanPool(layers.stabilizer_size) if invariant else PixelMean()
        self.head = nn.Linear(wide if invariant else wide * layers.stabilizer_size, num_classes, **factory)

    def features(self, x):
        """The maps before pooling, (N, in_channels, H, W) -> (N, widths[2], S, H', W'); without S over Z2."""
        return self.relu(self.bn(self.stage3(self.stage2(self.stage1(self.conv(x))))))

    def forward(self, x):
        """(N, in_channels, H, W) -> (N, num_classes)."""
        return self.head(self.pool(self.features(x)))


MODELS = {model.__name__: model for model in (Z2CNN, P4CNN, P4CNNRotationPooling, AllCNNC, ResNet44)}


def build(published, **options):
    """The network that a row of PUBLISHED_MODELS describes."""
    return MODELS[published.name](*published.arguments, **options)


def count_parameters(model):
    """The number of learnt numbers; running statistics are not among them."""
    return sum(parameter.numel() for parameter in model.parameters())


def run(model, shape):
    """Run a network on zeros of a shape."""
    with torch.no_grad():
        model.eval()(torch.zeros(shape))


if __name__ == "__main__":
    sys.exit(published_models.main(sys.modules[__name__], "torch_gconv.models"))
