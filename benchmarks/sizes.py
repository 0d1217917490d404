"""What is measured: the points, and the suites, which choose among them and say how long to measure each.

A point is a layer or a network with what it is given, or an index table. An axis of a suite is a row of
points along which one thing varies, from the base; a point may lie on several, and is measured once.
"""

import os
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import product
from typing import Optional

import numpy as np

from benchmarks.targets import (
    CONSTRUCTION,
    EVALUATION,
    INDEX_TABLE,
    MEMORY,
    NETWORK_TRAINING,
    OPERATIONS,
    TRAINING,
    TRANSFORMATION,
    TRANSFORMATION_WITH_GRADIENT,
)
from groupy.gconv.layer_specs import LAYER_SPECS, name_of

KSIZE, PADDING = 3, 1
IMAGE_CHANNELS = 3  # what lifting layers are given
CLASSES = 10  # that networks tell apart
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # that we may use

_ITEM_SIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Shape:
    """One layer with a 3x3(x3) kernel, padding 1 and stride 1, and what it is given.

    size: of the sides of the feature map, in pixels
    threads: None for all cores
    layout: how x lies in memory when a call starts, "NCHW" or "channels_last"
    """

    layer: str
    channels: int
    size: int
    batch: int = 8
    dtype: str = "float32"
    device: str = "cpu"
    threads: Optional[int] = None
    layout: str = "NCHW"

    def __str__(self):
        sides = "x".join(self.ndim * [str(self.size)])
        return f"{self.layer}, {self.channels} channels, {sides}, batch {self.batch}" + _unusual(self)

    @property
    def spec(self):
        """The LayerSpec."""
        return LAYER_SPECS[self.layer]

    @property
    def ndim(self):
        """The dimension of the grid, 2 or 3."""
        return self.spec.ndim

    @property
    def in_channels(self):
        """I: group convolutions keep the number of channels, lifting convolutions start from images."""
        return IMAGE_CHANNELS if self.spec.lifting else self.channels

    @property
    def folded_in_channels(self):
        """I * S_in, of the planar convolution."""
        return self.in_channels * self.spec.input_stabilizer_size

    @property
    def folded_out_channels(self):
        """O * S_out, of the planar convolution."""
        return self.channels * self.spec.output_stabilizer_size

    @property
    def itemsize(self):
        """Bytes of one number."""
        return _ITEM_SIZES[self.dtype]

    @property
    def folded_filter_bytes(self):
        """The size of the folded filters."""
        return self.folded_out_channels * self.folded_in_channels * KSIZE**self.ndim * self.itemsize

    def feature_map(self):
        """Normally distributed (batch, I * S_in, size, size[, size]), float32."""
        shape = (self.batch, self.folded_in_channels, *self.ndim * [self.size])
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def point(self):
        """The point as the results have it: JSON, the fields and what follows from the layer."""
        spec = self.spec
        group = {"group": name_of(spec.group), "stabilizer_size": spec.output_stabilizer_size, "ndim": self.ndim}
        return {**asdict(self), "threads": self.threads or CORES, **group}


@dataclass(frozen=True)
class NetworkShape:
    """A published network and the batch that it learns from: "P4CNN" (28x28x1) or "P4MResNet44" (32x32x3)."""

    network: str
    batch: int
    dtype: str = "float32"
    device: str = "cpu"
    threads: Optional[int] = None

    def __str__(self):
        return f"{self.network}, batch {self.batch}" + _unusual(self)

    def point(self):
        """The point as the results have it, JSON."""
        return {**asdict(self), "threads": self.threads or CORES}


@dataclass(frozen=True)
class Table:
    """An index table, by the name of its maker in groupy.gconv.make_gconv_indices."""

    table: str
    ksize: int

    device, threads = "cpu", 1  # NumPy on integers

    def __str__(self):
        return f"{self.table}, ksize {self.ksize}"

    def point(self):
        """The point as the results have it, JSON."""
        return asdict(self)


def point_named_by(point, cores):
    """The Shape, NetworkShape or Table of which point() is given, as of a machine with so many cores.

    Raises ValueError if it is of none.
    """
    for kind in (Shape, NetworkShape, Table):
        names = [a.name for a in fields(kind)]
        if names[0] in point:
            values = {name: point[name] for name in names}
            return kind(**{**values, "threads": None} if values.get("threads") == cores else values)
    raise ValueError(f"{point!r} is no point: it names neither a layer nor a network nor a table.")


@dataclass(frozen=True)
class Suite:
    """What one run measures.

    axes: {name: shapes}, of training steps and evaluation
    transformed, constructed: shapes, of the filter transformation and construction
    weighed: shapes and NetworkShapes, of peak memory; each contender takes a fresh process
    networks, tables: NetworkShapes and Tables
    choosy: {contender: points}; such a contender takes part at these points alone, since preparing it takes long
    seconds: for each point and operation, as far as the numbers of rounds allow; warm-up comes on top
    limit_seconds: for each way to a limit of the machine that is tried
    """

    axes: dict
    transformed: tuple
    constructed: tuple
    weighed: tuple
    networks: tuple
    tables: tuple
    seconds: float
    least_rounds: int
    most_rounds: int
    limit_seconds: float
    choosy: dict = field(default_factory=dict)

    def points(self, operation):
        """The points of an operation, each once."""
        rows = {
            TRANSFORMATION: self.transformed,
            TRANSFORMATION_WITH_GRADIENT: self.transformed,
            EVALUATION: self._shapes,
            TRAINING: self._shapes,
            NETWORK_TRAINING: self.networks,
            CONSTRUCTION: self.constructed,
            INDEX_TABLE: self.tables,
            MEMORY: self.weighed,
        }
        return rows[operation]

    def settings(self):
        """[(device, dtypes, numbers of threads)] of all points: what the limits of the machine are to be known for."""
        found = {}
        for operation in OPERATIONS:
            for point in self.points(operation):
                if not isinstance(point, Table):
                    dtypes, threads = found.setdefault(point.device, ({}, {}))
                    dtypes[point.dtype], threads[point.threads or CORES] = None, None
        return [(device, list(dtypes), list(threads)) for device, (dtypes, threads) in found.items()]

    def axes_of(self, point):
        """The names of the axes on which a point lies."""
        return [name for name, shapes in self.axes.items() if point in shapes]

    def on(self, devices):
        """The same suite on several devices. Chosen threads and index tables are of the CPU alone."""

        def there(points):
            return tuple(
                point if device == "cpu" else replace(point, device=device)
                for device in devices
                for point in points
                if device == "cpu" or point.threads is None
            )

        rows = ("transformed", "constructed", "weighed", "networks", "tables")
        return replace(
            self,
            axes={name: there(shapes) for name, shapes in self.axes.items()},
            choosy={contender: there(points) for contender, points in self.choosy.items()},
            **{name: there(getattr(self, name)) for name in rows},
        )

    @property
    def _shapes(self):
        return tuple(dict.fromkeys(shape for shapes in self.axes.values() for shape in shapes))


def _unusual(point):
    """What of a point is not as most are, in words."""
    words = [value for value, usual in _usual(point) if value != usual]
    if point.threads:
        words.append("1 thread" if point.threads == 1 else f"{point.threads} threads")
    return "".join(f", {word}" for word in words)


def _usual(point):
    return [(getattr(point, name), usual) for name, usual in _USUAL.items() if hasattr(point, name)]


_USUAL = {"dtype": "float32", "device": "cpu", "layout": "NCHW"}

BASE = Shape("P4MConvP4M", 32, size=16)
_GROUP, _LIFTING = ("P4ConvP4", "P4MConvP4M"), ("P4ConvZ2", "P4MConvZ2")


def _vary(base=BASE, **values):
    """Shapes like the base, with all combinations of the values of some fields."""
    return tuple(replace(base, **dict(zip(values, chosen))) for chosen in product(*values.values()))


_CHANNELS = (8, 16, 32, 64, 128)
_FEW = (8, 32, 128)
_SMALL = replace(BASE, channels=8, size=15)  # odd: hexagons live in squares of odd sides
_VOLUME = replace(_SMALL, size=8, batch=2)
_PLANE_GROUPS = ("P2ConvP2", "P4ConvP4", "P6ConvP6", "P4MConvP4M", "P6MConvP6M")
_SPACE_GROUPS = ("OConvO", "OHConvOH")
_MAKERS = ("make_d4_p4m_indices", "make_d6_p6m_indices", "make_oh_oht_indices")
_P4CNN, _RESNET = NetworkShape("P4CNN", 64), NetworkShape("P4MResNet44", 4)

SUITES = {
    "full": Suite(
        axes={
            "channels": _vary(layer=_LIFTING, channels=_FEW) + _vary(layer=_GROUP, channels=_CHANNELS),
            "size": _vary(size=(8, 16, 32)) + _vary(layer=("P4ConvP4",), size=(8, 16, 32, 64)),
            "batch": _vary(batch=(1, 8, 32)),
            "group order": _vary(_SMALL, layer=_PLANE_GROUPS) + _vary(_VOLUME, layer=_SPACE_GROUPS),
            # Not float16: where the processor has no halves, PyTorch takes twenty times as long for them.
            "dtype": _vary(dtype=("float32", "float64", "bfloat16")),
            "threads": _vary(threads=(1, None) if CORES > 1 else (None,)),
            "channels_last": _vary(layer=_GROUP, channels=(8, 32, 64), layout=("channels_last",)),
        },
        transformed=_vary(layer=_GROUP, channels=_FEW),
        constructed=_vary(channels=(8, 32, 64)),
        weighed=(BASE, _P4CNN),
        networks=(_P4CNN, _RESNET),
        tables=tuple(Table(*of) for of in product(_MAKERS, (3, 5, 7))),
        seconds=2,
        least_rounds=5,
        most_rounds=25,
        limit_seconds=0.08,
        choosy={"torch_gconv compiled": (*_vary(channels=(8, 32)), _P4CNN)},
    ),
    "quick": Suite(
        axes={"channels": _vary(layer=_GROUP, channels=(8, 32))},
        transformed=(BASE,),
        constructed=(BASE,),
        weighed=(BASE,),
        networks=(_P4CNN,),
        tables=(Table("make_d4_p4m_indices", 3),),
        seconds=1.5,
        least_rounds=5,
        most_rounds=20,
        limit_seconds=0.05,
        choosy={"torch_gconv compiled": ()},
    ),
    # Shows that the harness works, and says nothing of speed.
    "tiny": Suite(
        axes={"channels": (Shape("P4ConvP4", 2, 6, batch=2), Shape("P4MConvZ2", 2, 6, batch=2))},
        transformed=(Shape("P4ConvP4", 2, 6, batch=2),),
        constructed=(Shape("P4MConvP4M", 2, 6, batch=2),),
        weighed=(),
        networks=(NetworkShape("P4CNN", 2),),
        tables=(Table("make_d4_p4m_indices", 3),),
        seconds=0,
        least_rounds=2,
        most_rounds=2,
        limit_seconds=0,
        choosy={"torch_gconv compiled": ()},
    ),
}
