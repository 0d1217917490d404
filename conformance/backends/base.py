"""The contract of a backend: one implementation of the layers under test.

A backend is in essence build, forward, gradients and save/load. NumPy arrays go in and come out,
feature maps as (N, C, S, H, W) or (N, C, S, D, H, W), with S = 1 on the grid, in the dtype that the
model was built in. What a backend does not implement it declines: any method may raise Declined.
A framework is imported inside the methods of its backend, and only when the backend is used.
"""

from abc import ABC, abstractmethod
from typing import Optional


class Declined(Exception):
    """Raised by a backend for what it does not implement; the check counts as declined, not as passed."""


class Backend(ABC):
    """One implementation under test. Point `--backends` at a subclass as 'package.module:ClassName'."""

    name: Optional[str] = None  # the word used in options and reports

    def unavailable_because(self):
        """None if the backend can run here, else the reason as a sentence, with what to install."""
        return None

    def versions(self):
        """What reports say of the software: a dict from name to version."""
        return {}

    @abstractmethod
    def build(self, network, parameters, dtype):
        """A model of a network description (conformance.network) with the given parameters.

        parameters: dict of arrays by key, as conformance.network.parameter_shapes lists them
        dtype: numpy.float32 or numpy.float64
        """

    @abstractmethod
    def forward(self, model, x, training=False):
        """The output for x; in training, batch normalization uses and updates statistics."""

    @abstractmethod
    def gradients(self, model, x, gy, training=False):
        """The gradients of sum(forward(model, x) * gy): gx, and a dict by key for every weight."""

    @abstractmethod
    def transformed_filters(self, model):
        """The transformed filters of the network's first layer, (O, S_out, I, S_in, k, ...).

        On the hexagonal grid they are zero outside the hexagon.
        """

    @abstractmethod
    def parameters(self, model):
        """The present parameters, running statistics included, as a dict by key."""

    @abstractmethod
    def save(self, model, path):
        """Write the model's parameters to a file, the way users of the framework do."""

    @abstractmethod
    def load(self, model, path):
        """Read them back into a model of the same network, in place."""
