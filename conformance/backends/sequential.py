"""What backends share whose framework runs a network as a sequence of layer objects with parameters as attributes."""

from abc import abstractmethod

from conformance.backends.base import Backend, Declined
from conformance.network import (
    BatchNorm,
    Conv,
    CosetMaxPool,
    Induce,
    ReLU,
    Restrict,
    SpatialMaxPool,
    Square,
    Unrestrict,
    parameter_shapes,
    parameters_of,
)


class SequentialBackend(Backend):
    """A backend that makes one layer for each operation; its model can be indexed and knows its `network`.

    A subclass has a method (operation, parameters, dtype) for each kind of operation, which makes the layer; what it
    has no method for is declined.
    attributes: neutral name of a parameter -> the layer's attribute
    """

    attributes: dict = {}

    _METHODS = {
        Conv: "conv",
        BatchNorm: "batch_norm",
        ReLU: "relu",
        Square: "square",
        SpatialMaxPool: "spatial_max_pool",
        CosetMaxPool: "coset_max_pool",
        Restrict: "restrict",
        Unrestrict: "unrestrict",
        Induce: "induce",
    }

    def layers(self, network, parameters, dtype):
        """The layers of a network, in order. Raises Declined."""
        return [
            self._method(operation)(operation, parameters_of(parameters, position), dtype)
            for position, operation in enumerate(network)
        ]

    def _method(self, operation):
        method = getattr(self, self._METHODS[type(operation)], None)
        if method is None:
            raise Declined(f"{type(operation).__name__} is not implemented")
        return method

    def attribute(self, model, key):
        """The framework's object that holds the parameter `key`."""
        position, name = key.split(".")
        return getattr(model[int(position)], self.attributes[name])

    def apply(self, model, x):
        """The framework's y (N, C, S, H, W) of its x; lifting layers take pictures (N, C, H, W), as their users do.

        In three dimensions likewise, with (D, H, W) for (H, W).
        """
        y = model(x[:, :, 0] if x.shape[2] == 1 and isinstance(model.network[0], Conv) else x)
        return y if y.ndim == x.ndim else y.reshape(*y.shape[:2], 1, *y.shape[2:])

    def parameters(self, model):
        arrays = {key: self.array(self.attribute(model, key)) for key in parameter_shapes(model.network)}
        return {key: arrays[key].reshape(shape) for key, shape in parameter_shapes(model.network).items()}

    @abstractmethod
    def array(self, value):
        """A parameter or buffer of the framework as a NumPy array."""
