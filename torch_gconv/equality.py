"""Whether a model and what was made of it compute the same: module by module, and as a whole."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch.nn.utils.parametrize import type_before_parametrizations

from torch_gconv.batch_normalization import _GroupBatchNorm
from torch_gconv.copies import copy_of
from torch_gconv.feature_maps import with_stabilizer_axis
from torch_gconv.pooling import _OnTheGroup
from torch_gconv.splitgconv import SplitGConv


def equality_report(model, planar, *inputs, **keywords):
    """Run a model, and on what each replaced module was given, what replaced it; return an EqualityReport.

    planar: to_planar(model), or another model with the same paths
    inputs, keywords: what the model is called with

    Both run in evaluation mode, without gradients, and are then as before.
    """
    twins, modules, comparisons, given = dict(planar.named_modules()), dict(model.named_modules()), [], {}
    # Where to_planar folded a normalization, by its path: that of the convolution. The two are compared as one.
    folded = {norm: path for path, twin in twins.items() if (norm := getattr(twin, "folded_norm", None)) in modules}

    def keep_inputs(module, args, keywords):
        given[module] = copy_of((args, keywords))  # what follows may work in place

    def compare(path, module, args, keywords, output):
        convolution = modules[folded.get(path, path)]
        args, keywords = given.pop(convolution)
        twin = twins[folded.get(path, path)]
        got = twin(*args, **keywords)
        if path in folded:
            expected = F.relu(output) if hasattr(twin, "relu") else output
            bound = partial(_bound_of_folded, convolution, module, twin, *args)
            kind = f"{_kind(convolution)}, {_kind(module)}"
            comparisons.append(_compare(folded[path], kind, expected, got, bound))
        else:
            bound = partial(_rounding_bound, module, twin, *args)
            comparisons.append(_compare(path, _kind(module), output, got, bound))

    with _evaluating(model, planar), torch.no_grad(), ExitStack() as hooks:
        for path, module in modules.items():
            if path == "" or type(module) is not type(twins.get(path, module)):
                if path not in folded:
                    hooks.callback(module.register_forward_pre_hook(keep_inputs, with_kwargs=True).remove)
                if path not in folded.values():
                    after = module.register_forward_hook(partial(compare, path), with_kwargs=True)
                    hooks.callback(after.remove)
        model(*inputs, **keywords)
    return EqualityReport(tuple(comparisons))


@contextmanager
def _evaluating(*models):
    """In evaluation mode; then each module in its own again."""
    flags = [(module, module.training) for model in models for module in model.modules()]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for module, training in flags:  # from the outside in, since train() reaches all that is inside
            module.train(training)


@dataclass(frozen=True)
class Comparison:
    """One call of a module that was replaced, or of the model, and the same call of what replaced it.

    path: of the module in the model; '' for the model
    kind: the module's class
    same: all numbers are the same (zeros have no sign, and NaN is NaN)
    difference: the largest absolute one
    bound: what rounding allows at most, if that is known
    """

    path: str
    kind: str
    same: bool
    difference: float
    bound: float | None


@dataclass(frozen=True)
class EqualityReport:
    """The comparisons, in the order in which the modules finished; the model comes last."""

    comparisons: tuple[Comparison, ...]

    @property
    def same(self):
        """Whether all numbers are the same, everywhere."""
        return all(c.same for c in self.comparisons)

    @property
    def unexplained(self):
        """The comparisons whose difference is more than rounding, their own or that of a module inside, explains."""
        return tuple(c for c in self.comparisons if not (c.same or self._is_explained(c)))

    def _is_explained(self, comparison):
        if comparison.bound is not None:
            return comparison.difference <= comparison.bound
        start = f"{comparison.path}." if comparison.path else ""
        inside = [c for c in self.comparisons if c.path.startswith(start) and not c.same and c is not comparison]
        return bool(inside) and all(map(self._is_explained, inside))

    def to_dict(self):
        """The same as plain data, for JSON."""
        return {
            "same": self.same,
            "unexplained": [c.path for c in self.unexplained],
            "comparisons": [asdict(c) for c in self.comparisons],
        }

    def __str__(self):
        rows = [("module", "class", "equality", "largest difference", "rounding allows")]
        for c in self.comparisons:
            equality = "the same bits" if c.same else "UNEQUAL" if c in self.unexplained else "but for rounding"
            bound = "" if c.bound is None else f"{c.bound:.3g}"
            rows.append((c.path or "(the model)", c.kind, equality, f"{c.difference:.3g}", bound))
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.ljust(n) for cell, n in zip(row, widths)).rstrip() for row in rows)


def _kind(module):
    return type_before_parametrizations(module).__name__


def _compare(path, kind, expected, got, rounding_bound):
    expected, got = list(_tensors(expected)), list(_tensors(got))
    if [(t.shape, t.dtype) for t in expected] != [(t.shape, t.dtype) for t in got]:
        return Comparison(path, kind, same=False, difference=float("inf"), bound=None)
    differences = [_difference(a, b) for a, b in zip(expected, got)]
    same = not any(d.any() for d in differences)  # NaN counts as true
    difference = max((d.max().item() for d in differences if d.numel()), default=0.0)
    bound = None if same else rounding_bound()
    return Comparison(path, kind, same, difference, bound)


def _tensors(output):
    """The tensors in what a module returns, be it a tensor or tuples, lists and dictionaries of them."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from _tensors(part)
    elif isinstance(output, dict):
        for part in output.values():
            yield from _tensors(part)


def _difference(a, b):
    """|a - b| in double precision; 0 where both are the same infinity, or both are NaN."""
    same = (a == b) | ((a != a) & (b != b))
    return torch.where(same, 0.0, (a.double() - b.double()).abs())


def _rounding_bound(module, twin, *args):
    """By how much the module and its twin may differ; None for what is not known to round."""
    rule = next((rule for kind, rule in _MAGNITUDES.items() if isinstance(module, kind)), None)
    if rule is None:
        return None
    return _bound(*rule(module, twin, *args), args[0].dtype)


def _bound(magnitude, n, dtype, stores=1):
    """What rounding allows two results to differ by.

    magnitude: sums of magnitudes, over all places; n: how often such a sum is rounded; stores: how often to dtype

    A sum of n products, added in any order, is off by at most gamma times the sum of their magnitudes, with
    gamma = n u / (1 - n u) (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1); so is whatever
    rounds n times. Half precision is added in float32 and rounded when it is stored. The largest such bound over all
    places; other algorithms than direct sums (Winograd's, Fourier's) and TF32 have other bounds.
    """
    u = torch.finfo(torch.promote_types(dtype, torch.float32)).eps / 2
    return 2 * magnitude.max().item() * (n * u / (1 - n * u) + stores * torch.finfo(dtype).eps / 2)


def _bound_of_folded(layer, norm, twin, x):
    """_bound for a convolution and its normalization, against the convolution by weights that have it folded in.

    With s = weight / sqrt(running_var + eps) both are s (sum of W x + b - mean) + bias, of magnitude
        s (sum of |W| |x| + |b| + |mean|) + |bias|.
    One way the sum rounds n times, b counted, and the normalization eight times (_of_normalization); together at most
    n + 8 times (Higham, lemma 3.3). The other way s has three roundings (+, root, division), s W two more (the product,
    and its storage), and then the sum rounds n times; the bias rounds seven times and n times: n + 7 at most, and there
    are two stores in x's dtype on either way.
    """
    S = layer.output_stabilizer_size
    weight, shift = (1.0, 0.0) if norm.weight is None else (norm.weight.double().abs(), norm.bias.double().abs())
    scale = weight / (norm.running_var.double() + norm.eps).sqrt()
    bias = 0.0 if layer.bias is None else layer.bias.double().abs()
    bias = ((bias + norm.running_mean.double().abs()) * scale + shift).repeat_interleave(S)
    weight = layer.folded_filters().double().abs()
    weight = weight * scale.repeat_interleave(S).reshape(-1, *(1,) * (weight.dim() - 1))
    parameters = {"conv.weight": weight, "conv.bias": bias}
    magnitude = torch.func.functional_call(twin, parameters, x.double().abs())
    return _bound(magnitude, weight[0].numel() + 1 + 8, x.dtype, stores=2)


# Each: (module, twin, x) -> the sums of magnitudes, in float64, and how often such a sum is rounded.


def _of_convolution(layer, twin, x):
    parameters = {name: p.detach().double().abs() for name, p in twin.named_parameters()}
    weight = next(p for p in parameters.values() if p.ndim > 1)
    return torch.func.functional_call(twin, parameters, x.double().abs()), weight[0].numel() + 1  # the bias counts


def _of_normalization(norm, twin, x):
    """In evaluation at most eight roundings: eps, +, root, inverse, weight, mean, product, +, in any order of steps."""
    on_group = with_stabilizer_axis("GBatchNorm", x, norm.num_features)
    largest = on_group.double().abs().transpose(0, 1).flatten(1).amax(1)
    if not norm.track_running_stats:
        return largest.new_zeros(1), 1  # both take the statistics of x as PyTorch does: no difference is explained
    scale, shift = (1.0, 0.0) if norm.weight is None else (norm.weight.double().abs(), norm.bias.double().abs())
    scale = scale / (norm.running_var.double() + norm.eps).sqrt()
    return scale * (largest + norm.running_mean.double().abs()) + shift, 8


def _of_pooling(pool, twin, x):
    """Over n values n roundings, and two more for a square and a root, or the division by n."""
    pooled = pool(x.double().abs())
    return pooled, x.numel() // max(pooled.numel(), 1) + 2


_MAGNITUDES = {SplitGConv: _of_convolution, _GroupBatchNorm: _of_normalization, _OnTheGroup: _of_pooling}
