"""Results as a run would leave them, made up: for tests of what is written from results."""

import zlib
from itertools import product

import numpy as np
import pytest

ORDERS = {"p2": 2, "p4": 4, "p6": 6, "p4m": 8, "p6m": 12, "O": 24, "Oh": 48}
LAYERS = {
    **{f"{group.upper()}Conv{group.upper()}": group for group in ORDERS},
    **{"P4ConvZ2": "p4", "P4MConvZ2": "p4m"},
}
PEAK, BANDWIDTH = 2.5e11, 2.4e10

# contender: (time over that of the peak, seconds of overhead in a call)
SPEEDS = {
    "torch_gconv": (1.53, 9e-5),
    "torch_gconv compiled": (1.45, 7e-5),
    "torch_gconv planar": (1.5, 4e-5),
    "planar NCHW": (1.9, 5e-5),
    "planar channels_last": (1.5, 6e-5),
    "escnn": (1.6, 4e-4),
    "old PyTorch port": (2.4, 3e-4),
    "chainer_gconv": (3.4, 3e-4),
    "GrouPy in Chainer": (6.5, 4e-4),
}
SUBJECTS = {
    "torch_gconv": (
        "planar",
        "escnn",
        "old PyTorch port",
        "torch_gconv compiled",
        "torch_gconv planar",
        "chainer_gconv",
    ),
    "chainer_gconv": ("GrouPy in Chainer", "torch_gconv"),
}
TARGETS = [
    ("training step", "torch_gconv", "planar", 1.10, "median"),
    ("training step", "torch_gconv", "planar", 1.25, "each"),
    ("evaluation", "torch_gconv", "planar", 1.02, "median"),
    ("training step", "torch_gconv", "escnn", 1.0, "each"),
    ("construction", "torch_gconv", "escnn", 0.05, "each"),
    ("evaluation", "chainer_gconv", "GrouPy in Chainer", 0.5, "median"),
]


def layer_point(layer, channels=32, size=16, batch=8, dtype="float32", device="cpu", threads=2, layout="NCHW"):
    group = LAYERS[layer]
    own = {"layer": layer, "group": group, "stabilizer_size": ORDERS[group], "ndim": 3 if group in ("O", "Oh") else 2}
    given = {"channels": channels, "size": size, "batch": batch, "dtype": dtype, "device": device}
    return {**own, **given, "threads": threads, "layout": layout}


def layer_points(quick):
    """(point, axes) of the axes that a suite has."""
    axes = {"channels": [layer_point(*of) for of in product(("P4ConvP4", "P4MConvP4M"), (8, 32))]}
    if not quick:
        small = [layer_point(f"{g.upper()}Conv{g.upper()}", 8) for g in ("p2", "p4", "p6", "p4m", "p6m")]
        group, lifting = ("P4ConvP4", "P4MConvP4M"), ("P4ConvZ2", "P4MConvZ2")
        axes = {
            "channels": [layer_point(*of) for of in product(lifting + group, (8, 16, 32, 64, 128))],
            "size": [layer_point(layer, size=size) for layer, size in product(group, (8, 16, 32, 64))],
            "batch": [layer_point("P4MConvP4M", batch=batch) for batch in (1, 8, 32, 128)],
            "group order": small + [layer_point(layer, 8, 8, 2) for layer in ("OConvO", "OHConvOH")],
            "dtype": [layer_point("P4MConvP4M", dtype=dtype) for dtype in ("float32", "float64", "bfloat16")],
            "threads": [layer_point("P4MConvP4M", threads=threads) for threads in (1, 2)],
            "channels_last": [layer_point(*of, layout="channels_last") for of in product(group, (8, 16, 32, 64, 128))],
        }
    points = {}
    for axis, on_axis in axes.items():
        for point in on_axis:
            points.setdefault(tuple(point.items()), (point, []))[1].append(axis)
    return list(points.values())


def work_of(operation, point):
    taps, pixels = 3 ** point["ndim"], point["size"] ** point["ndim"] * point["batch"]
    out = point["channels"] * point["stabilizer_size"]
    into = 3 if point["layer"].endswith(("Z2", "Z3")) else out
    times = 3 if operation == "training step" else 1
    return times * 2.0 * pixels * out * into * taps, times * 4.0 * (pixels * (out + into) + out * into * taps)


def make_measurement(operation, point, axes, contenders, base_seconds, work=None, unit="s", rounds=9, factors=None):
    """factors: {contender: what its values are multiplied by}."""
    values = {}
    for name in contenders:
        rng = np.random.default_rng(zlib.crc32(repr((operation, sorted(point.items()), name)).encode()))
        slowness, overhead = SPEEDS[name]
        seconds = (base_seconds * slowness + overhead * (2.5 if operation == "training step" else 1)) * (
            factors or {}
        ).get(name, 1)
        values[name] = (seconds * np.exp(0.02 * rng.standard_normal(rounds))).tolist()
    limits = work and {"arithmetic": work[0] / PEAK, "bytes": work[1] / BANDWIDTH}
    return {
        **{"operation": operation, "point": point, "axes": axes, "unit": unit},
        **{"flops": work and work[0], "bytes": work and work[1], "limit_seconds": limits},
        **{"values": values, "figures": make_figures(values)},
    }


def make_figures(values):
    by_rival = {}
    for name in sorted(values, key=lambda name: -np.median(values[name])):
        by_rival["planar" if name.startswith("planar") else name] = name
    figures = []
    for subject, rivals in SUBJECTS.items():
        for rival in rivals:
            if subject in values and rival in by_rival:
                quartiles = np.percentile(np.divide(values[subject], values[by_rival[rival]]), [25, 50, 75]).tolist()
                ordered = dict(zip(("lower", "median", "upper"), quartiles))
                figures.append({"subject": subject, "rival": rival, "of": by_rival[rival], **ordered})
    return figures


def make_results(without=(), quick=False, gpu=False, factors=None):
    """Results of a full run, or of less.

    without: words; contenders whose names have one of them are left out
    factors: {contender: what its times are multiplied by}
    """
    names = [name for name in SPEEDS if not any(word in name for word in without)]
    measurements = []

    def add(operation, point, axes, contenders, seconds, work=None, **options):
        present = [name for name in contenders if name in names]
        if present:
            measurements.append(
                make_measurement(operation, point, axes, present, seconds, work, factors=factors, **options)
            )

    for device in ("cpu", "cuda") if gpu else ("cpu",):
        fast = 1 if device == "cpu" else 0.02
        for point, axes in layer_points(quick):
            point = {**point, "device": device}
            if device == "cuda" and point["threads"] == 1:
                continue
            for operation in ("training step", "evaluation"):
                able = [n for n in names if operation == "evaluation" or n != "torch_gconv planar"]
                if point["channels"] * point["stabilizer_size"] > 256:
                    able = [name for name in able if name not in ("chainer_gconv", "GrouPy in Chainer")]
                if point["layer"] != "P4MConvP4M":
                    able = [name for name in able if name != "torch_gconv compiled"]
                if point["ndim"] == 3:
                    able = [name for name in able if name != "escnn"]
                work = work_of(operation, point)
                spared = {1: 1.85, 2: 1}[point["threads"]] * (0.93 if point["layout"] == "channels_last" else 1)
                add(operation, point, axes, able, spared * fast * max(work[0] / PEAK, work[1] / BANDWIDTH), work)
        base = {**layer_point("P4MConvP4M"), "device": device}
        torch = [name for name in names if "Chainer" not in name and name != "chainer_gconv"]
        for operation in ("filter transformation", "filter transformation with gradient"):
            add(operation, base, [], ["torch_gconv", "chainer_gconv", "GrouPy in Chainer"], 3e-4)
        add("construction", base, [], ["torch_gconv", "planar NCHW", "planar channels_last", "chainer_gconv"], 2e-3)
        if "escnn" in names:
            measurements[-1]["values"]["escnn"] = [0.3 * (factors or {}).get("escnn", 1)] * 9
            measurements[-1]["figures"] = make_figures(measurements[-1]["values"])
        networks = (("P4CNN", 64), ("P4MResNet44", 8))[: 1 if quick else 2]
        for network, batch in networks:
            point = {"network": network, "batch": batch, "dtype": "float32", "device": device, "threads": 2}
            able = [name for name in names if name not in ("torch_gconv planar", "planar NCHW")]
            add("network training step", point, [], able, fast * (0.04 if network == "P4CNN" else 0.11))
        for layer in ("P4ConvP4", "P4MConvP4M"):
            point = {**layer_point(layer), "device": device}
            add(
                "peak memory of a training step",
                point,
                [],
                [n for n in torch if "planar" not in n],
                2.4e7,
                unit="bytes",
            )
            measurements[-1:] = [{**m, "values": {n: v[:1] for n, v in m["values"].items()}} for m in measurements[-1:]]
    for ksize in (3, 5):
        add("index table", {"table": "make_d4_p4m_indices", "ksize": ksize}, [], ["torch_gconv"], 4e-5 * ksize**2)
        measurements[-1:] = [
            {**m, "values": {"groupy": next(iter(m["values"].values()))}, "figures": []} for m in measurements[-1:]
        ]
    limits = [
        {
            **{"device": device, "dtype": "float32", "threads": 2},
            **{"flops_per_second": PEAK, "flops_by": "torch 1x1 convolution, channels_last"},
            **{"bytes_per_second": BANDWIDTH, "bytes_by": "numpy.copyto"},
        }
        for device in (("cpu", "cuda") if gpu else ("cpu",))
    ]
    why = {
        "escnn": "No module named 'escnn'",
        "torch": "No module named 'torch'",
        "chainer": "No module named 'chainer'",
    }
    machine = {
        **{"name": "made-up-2-cores", "CPU": "Made Up 9000", "cores": 2, "memory_bytes": 8 * 2**30},
        **{
            "caches": "L2 1 MiB, L3 32 MiB",
            "system": "Linux",
            "Python": "3.11.7",
            "GPU": "Made Up GPU" if gpu else None,
        },
        **{
            "capability": "AVX512",
            "oneDNN": "3.7.1",
            "BLAS": "OpenBLAS",
            "versions": {"torch": "2.13.0", "chainer": "7.8.1", "escnn": None},
        },
    }
    return {
        **{"format": 1, "suite": "quick" if quick else "full", "date": "2026-11-23", "seconds": 612.0},
        **{"machine": machine, "limits": limits, "left_out": {word: why.get(word, "left out") for word in without}},
        "targets": [dict(zip(("operation", "subject", "rival", "at_most", "over"), of)) for of in TARGETS],
        "measurements": measurements,
    }


@pytest.fixture(scope="session")
def made_up():
    """The function make_results."""
    return make_results
