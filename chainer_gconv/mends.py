"""Chainer's own functions that newer NumPy, SciPy, h5py and protobuf break, made to do again what they did.

Each mend takes the module it mends, and a call that runs the module's code; bridge.REPAIRS says
when each is needed, and why. Nothing outside Chainer is changed.
"""

import ast
import functools
import inspect
import itertools
import threading
import types

import numpy


def pad_sequence(module, run):
    """A fill that the dtype cannot hold wraps around, as -1 does to 255."""
    run()
    forward = module.PadSequence.forward

    @functools.wraps(forward)
    def wrapping(self, xs):
        if xs[0].dtype.kind in "iu" and isinstance(self.padding, int):
            self.padding = _wrapped(self.padding, xs[0].dtype)
        return forward(self, xs)

    module.PadSequence.forward = wrapping


def constants_of_arithmetic(module, run):
    """A Python number that a Variable's integer dtype cannot hold wraps around: uint8 - 2 is uint8 + 254."""
    run()
    preprocess = module._preprocess_const

    @functools.wraps(preprocess)
    def wrapping(x, value):
        try:
            return preprocess(x, value)
        except OverflowError:
            return _wrapped(int(value), x.dtype)

    module._preprocess_const = wrapping


def _wrapped(number, dtype):
    return numpy.array(number).astype(dtype)[()]


def categorical_log_prob(module, run):
    """The indices of meshgrid are joined to the sampled ones, whether they come as a list or as a tuple."""
    run()

    def log_prob(self, x):
        sampled = getattr(x, "array", x).astype(numpy.int32)
        batch = numpy.meshgrid(*map(range, self.batch_shape), indexing="ij")
        return self.log_p[(*batch, sampled)]

    module.Categorical.log_prob = log_prob


def walker_alias(module, run):
    """The tables are computed in float64, so that a seed draws the samples that it used to draw."""
    run()

    def __init__(self, probs):
        super(module.WalkerAlias, self).__init__()
        size = len(probs)
        shares = numpy.array(probs, numpy.float32)
        shares /= shares.sum()
        self.threshold = numpy.zeros(size, numpy.float32)
        self.values = numpy.zeros(2 * size, numpy.int32)
        # From the smallest share on, entry i fills what the earlier entries left of their unit intervals.
        unfilled = 0
        for filled, (share, i) in enumerate(sorted(zip(shares.tolist(), itertools.count()))):
            weight = share * size
            while weight > 1 and unfilled < filled:
                self.values[2 * unfilled + 1] = i
                weight -= 1.0 - float(self.threshold[unfilled])
                unfilled += 1
            self.threshold[filled] = weight
            self.values[2 * filled] = i

    module.WalkerAlias.__init__ = __init__


def roi_pooling(module, run):
    """Corners are scaled in float64 on the CPU, forward and backward alike, so that no sample is lost between them."""
    run()
    for of_module in vars(module).copy().values():
        if isinstance(of_module, type) and of_module.__module__ == module.__name__:
            for name in ("forward_cpu", "backward_cpu"):
                if name in vars(of_module):
                    setattr(of_module, name, _scaled_in_double(getattr(of_module, name)))


def _scaled_in_double(method):
    @functools.wraps(method)
    def scaled(self, *arguments):
        scale = self.spatial_scale
        self.spatial_scale = numpy.float64(scale)
        try:
            return method(self, *arguments)
        finally:
            self.spatial_scale = scale

    return scaled


def maxout(module, run):
    """A function that initializes is given the array in another shape, instead of an array whose shape was set."""
    run()
    construct = module.Maxout.__init__

    class Reshaped(module.initializer.Initializer):
        def __init__(self, initialize, shape):
            super().__init__()
            self.initialize, self.shape = initialize, shape

        def __call__(self, array):
            self.initialize(array.reshape(self.shape))

    @functools.wraps(construct)
    def constructed(self, in_size, out_size, pool_size, initialW=None, initial_bias=0):
        def reshaped(initial, *shape):
            is_function = callable(initial) and not isinstance(initial, module.initializer.Initializer)
            return Reshaped(initial, shape) if is_function else initial

        initialW = reshaped(initialW, out_size, pool_size, in_size)
        construct(self, in_size, out_size, pool_size, initialW, reshaped(initial_bias, out_size, pool_size))

    module.Maxout.__init__ = constructed


def padded_batches(module, run):
    """The largest shape is found without numpy.maximum's third argument by position."""
    run()

    def _concat_arrays_with_padding(arrays, padding):
        device = module.backend.get_device_from_array(arrays[0])
        shape = numpy.array([array.shape for array in arrays]).max(axis=0)
        with module.chainer.using_device(device):
            batch = device.xp.full((len(arrays), *shape.tolist()), padding, dtype=arrays[0].dtype)
            for i, array in enumerate(arrays):
                batch[(i, *map(slice, array.shape))] = array
        return batch

    module._concat_arrays_with_padding = _concat_arrays_with_padding


def multiprocess_iterator(module, run):
    """Its thread is made a daemon by the attribute, as Python now wants it."""
    run()

    class Thread(threading.Thread):
        def setDaemon(self, daemonic):
            self.daemon = daemonic

    module.threading = types.SimpleNamespace(**{**vars(threading), "Thread": Thread})


def debug_print(module, run):
    """A NumPy array is on the 'CPU', as debug_print has always written it; NumPy's own name is 'cpu'."""
    run()
    original = module.Variable.debug_print

    @functools.wraps(original)
    def printed(self):
        text = original(self)
        return text.replace("\n- device: cpu\n", "\n- device: CPU\n", 1) if type(self.array) is numpy.ndarray else text

    module.Variable.debug_print = printed


def sparse_matmul(module, run):
    """Sparse halves are multiplied in float32, as SciPy did while it took them."""
    run()
    multiply = module._coo_matmul_cpu

    @functools.wraps(multiply)
    def multiplied(A_data, *others):
        return multiply(A_data.astype(numpy.float32) if A_data.dtype == numpy.float16 else A_data, *others)

    module._coo_matmul_cpu = multiplied


def gradient_of_get_item(module, run):
    """CuPy's arrays are added to by cupy.add.at; their method scatter_add is deprecated."""
    run()
    forward = module.GetItemGrad.forward

    @functools.wraps(forward)
    def added(self, inputs):
        (gy,) = inputs
        if isinstance(gy, numpy.ndarray):
            return forward(self, inputs)
        xp = module.backend.get_array_module(gy)
        gx = xp.zeros(self._in_shape, gy.dtype)
        xp.add.at(gx, self.slices, gy)
        return (gx,)

    module.GetItemGrad.forward = added


def scatter_add(module, run):
    """What Chainer's functions find as cuda.cupyx has a scatter_add that is cupy.add.at; cupyx itself is left alone."""
    run()
    cupyx = getattr(module, "cupyx", None)
    if cupyx is None:  # CuPy is installed, but Chainer could not import it
        return

    class Cupyx(types.ModuleType):
        def __getattr__(self, name):
            return getattr(cupyx, name)

    module.cupyx = Cupyx("cupyx")
    module.cupyx.scatter_add = module.cupy.add.at


def hdf5_strings(module, run):
    """A string is read as the string that was written. h5py gives its bytes, and Chainer would take their repr."""
    run()
    deserialize = module.HDF5Deserializer.__call__

    @functools.wraps(deserialize)
    def decoded(self, key, value):
        if isinstance(value, (str, bytes)) and self.group is not None and key in self.group:
            dataset = self.group[key]
            if dataset.shape is not None and module.h5py.check_string_dtype(dataset.dtype) is not None:
                return type(value)((dataset.asstr() if isinstance(value, str) else dataset)[()])
        return deserialize(self, key, value)

    module.HDF5Deserializer.__call__ = decoded


def caffe_messages(module, run):
    """The message classes are built by protobuf from the schema in the file, not piece by piece by the file itself."""
    try:
        from google.protobuf import descriptor_pool
        from google.protobuf.internal import builder
    except ImportError:  # a protobuf that still takes the file as it is, or none
        run()
        return
    # A pool of its own: another package's caffe.proto may be in the default one.
    schema = descriptor_pool.DescriptorPool().AddSerializedFile(_serialized_schema(module))
    module.DESCRIPTOR = schema
    builder.BuildMessageAndEnumDescriptors(schema, vars(module))
    builder.BuildTopDescriptorsAndMessages(schema, module.__name__, vars(module))


def _serialized_schema(module):
    """The bytes given as `serialized_pb` in a module that protoc generated; they are written as a Latin-1 string."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb":
            return node.value.args[0].value.encode("latin1")
    raise ImportError(f"{module.__name__} holds no serialized schema.")
