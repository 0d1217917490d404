"""Installation of groupy-gconv; the version stands in groupy/__init__.py."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "groupy" / "__init__.py").read_text(encoding="utf-8")).group(1)

EXTRAS = {
    "chainer": ["chainer>=7.8.1,<8"],
    "torch": ["torch>=2.6"],
    "cuda12": ["cupy-cuda12x>=12"],
    "cuda13": ["cupy-cuda13x>=13"],
    "cudnn": ["nvidia-cudnn-frontend>=1.5; python_version >= '3.10'"],
    "hexagonal": ["scipy>=1.7.2"],
    "plot": ["matplotlib>=3.5"],
    "mpi": ["mpi4py>=3.1"],
    "onnx": ["onnx>=1.16", "onnxscript>=0.5", "onnxruntime>=1.18"],
    "quantization": ["torchao>=0.18; python_version >= '3.10'"],
    "conformance": ["jinja2>=3", "matplotlib>=3.5", "pillow>=9.1", "rich>=12", "scikit-learn>=1.0"],
    "test": [
        "h5py>=3",
        "hypothesis>=6.80",
        # the CUDA compiler that the kernels are compiled with; it needs no GPU
        "nvidia-cuda-nvrtc-cu12>=12.4,<13; platform_system == 'Linux' and platform_machine == 'x86_64'",
        # for ChainerMN; it finds the MPI of the system
        "mpi4py>=4; platform_system == 'Linux'",
        "pytest>=7.4",
        "pytest-benchmark>=4",
        "threadpoolctl>=3",
    ],
    "lint": ["mypy", "ruff"],
}

setup(
    name="groupy-gconv",
    version=VERSION,
    description="Group equivariant convolutions for Chainer and PyTorch, from one set of index tables",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.9",
    install_requires=["numpy>=1.22"],
    extras_require=EXTRAS,
    packages=find_packages(include=["groupy*", "chainer_gconv*", "torch_gconv*", "conformance*"]),
    package_data={
        "chainer_gconv": ["kernels.cu", "startup_hook.txt"],
        "conformance": ["templates/*.html", "expected_failures/*.txt"],
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
