"""P4CNN as Chainer users wrote it in 2017: GrouPy's import paths, nothing newer."""

import chainer
import chainer.functions as F
import chainer.links as L

from groupy.gconv.chainer_gconv import P4ConvP4, P4ConvZ2
from groupy.gconv.chainer_gconv.pooling.plane_group_spatial_max_pooling import plane_group_spatial_max_pooling


class P4CNN(chainer.Chain):
    def __init__(self, n_channels=8, n_classes=10):
        super().__init__()
        with self.init_scope():
            self.l1 = P4ConvZ2(in_channels=1, out_channels=n_channels, ksize=3, stride=1, pad=1)
            self.l2 = P4ConvP4(in_channels=n_channels, out_channels=n_channels, ksize=3, stride=1, pad=1)
            self.l3 = P4ConvP4(in_channels=n_channels, out_channels=n_channels, ksize=3, stride=1, pad=1)
            self.top = L.Linear(n_channels, n_classes)

    def __call__(self, x):
        h = F.relu(self.l1(x))
        h = F.relu(self.l2(h))
        h = plane_group_spatial_max_pooling(h, ksize=2, stride=2)
        h = F.relu(self.l3(h))
        h = F.max(h, axis=(2, 3, 4))  # over orientations and pixels: invariant to quarter turns
        return self.top(h)
