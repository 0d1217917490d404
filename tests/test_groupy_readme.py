"""The example of GrouPy's README for Chainer, through every import path it could have been written with.

On a GPU it is unmodified but for `print`, which was a statement; on the CPU arrays are NumPy's and stay there.
"""

import subprocess
import sys
from importlib.util import find_spec

import pytest

EXAMPLE = """
from chainer import Variable
import {xp} as cp
from {path} import P4ConvZ2, P4ConvP4

C1 = P4ConvZ2(in_channels=3, out_channels=64, ksize=3, stride=1, pad=1){to_device}
C2 = P4ConvP4(in_channels=64, out_channels=64, ksize=3, stride=1, pad=1){to_device}

x = Variable(cp.random.randn(10, 3, 9, 9).astype('float32'))

y = C2(C1(x))
print(y.data.shape)
"""
PATHS = [
    "groupy.gconv.chainer_gconv",
    "groupy.gconv.chainer_gconv.p4_conv",
    "groupy.gconv.gconv_chainer",
    "groupy.gconv.gconv_chainer.p4_conv",
    "chainer_gconv",
    "chainer_gconv.p4_conv",
]


@pytest.mark.skipif(find_spec("chainer") is None, reason="chainer is not installed")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_the_example_runs(path, device, tmp_path):
    if device == "gpu":
        cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
        if not cupy.cuda.is_available():
            pytest.skip("CuPy sees no CUDA device")
    xp, to_device = ("cupy", ".to_gpu()") if device == "gpu" else ("numpy", "")
    script = tmp_path / "example.py"
    script.write_text(EXAMPLE.format(xp=xp, path=path, to_device=to_device))
    command = [sys.executable, "-m", "chainer_gconv", str(script)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "(10, 64, 4, 9, 9)\n"), result.stderr
