"""Who may import whom: read from the import statements, then tried with the others blocked."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"chainer", "cupy", "torch", "chainer_gconv", "torch_gconv"}
FORBIDDEN = {
    "groupy": FRAMEWORKS | {"conformance"},
    "chainer_gconv": {"torch", "torch_gconv", "conformance"},
    "torch_gconv": {"chainer", "cupy", "chainer_gconv", "conformance"},
    "conformance": FRAMEWORKS,
    "experiments": {"conformance", "benchmarks", "examples"},
}
# What parts of groupy use when they are asked to, and importing it does not need.
OPTIONAL = {"matplotlib", "scipy", "PIL", "sklearn", "rich", "jinja2"}
# Inside groupy a room may use those before it; its own modules come last.
ROOMS = ["garray", "gfunc", "gconv", "hexagonal"]
BACKENDS = {"chainer_backend.py", "torch_backend.py"}


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def files():
    paths = [path for package in FORBIDDEN for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in paths if path.name not in BACKENDS]  # their own rule is below


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_points_the_wrong_way(path):
    package, *rest = path.relative_to(ROOT).parts
    imported = set(imported_modules(path))
    assert not {module.split(".")[0] for module in imported} & FORBIDDEN[package]
    if package == "groupy" and len(rest) > 1:
        later = {f"groupy.{room}" for room in ROOMS[ROOMS.index(rest[0]) + 1 :]}
        assert not {".".join(module.split(".")[:2]) for module in imported} & later


def top_level_imports(path):
    top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(node, "names")]
    modules = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    return modules | {node.module for node in top if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", sorted((ROOT / "groupy").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_groupy_imports_optional_packages_inside_functions_alone(path):
    assert not {module.split(".")[0] for module in top_level_imports(path)} & OPTIONAL


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_a_backend_imports_its_framework_inside_functions_alone(name):
    modules = top_level_imports(ROOT / "conformance" / "backends" / name)
    assert not {module.split(".")[0] for module in modules} & FRAMEWORKS


def run_blocked(blocked, script):
    block = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {sorted(blocked)!r}:
            raise ImportError(f'{{name}} is blocked')
sys.meta_path.insert(0, Block())
"""
    return subprocess.run([sys.executable, "-c", block + script], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize(
    "package, needs",
    [
        ("groupy.gconv.layer_specs", None),
        ("chainer_gconv", "chainer"),
        ("torch_gconv", "torch"),
        ("conformance.cases", None),
    ],
)
def test_each_package_imports_with_the_others_blocked(package, needs):
    if needs and find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    result = run_blocked(FORBIDDEN[package.split(".")[0]], f"import {package}")
    assert result.returncode == 0, result.stderr


GROUPY = ["groupy", "groupy.garray", "groupy.gfunc", "groupy.gconv.layer_specs", "groupy.gconv.subgroups"]
GROUPY += ["groupy.gconv.reference", "groupy.gconv.table_costs", "groupy.hexagonal"]


@pytest.mark.parametrize("package", GROUPY)
def test_groupy_imports_no_third_party_package_but_numpy(package):
    result = run_blocked(set(), f"import {package}\nprint(sorted({{name.split('.')[0] for name in sys.modules}}))")
    assert result.returncode == 0, result.stderr
    others = FRAMEWORKS | {"conformance"} | OPTIONAL
    assert not set(ast.literal_eval(result.stdout)) & others


@pytest.mark.parametrize(
    "package, framework, extra", [("chainer_gconv", "chainer", "chainer"), ("torch_gconv", "torch", "torch")]
)
def test_a_missing_framework_is_named_with_the_extra_to_install(package, framework, extra):
    hide = f"""
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {framework!r} else real(name, *rest)
from {package} import P4ConvZ2
"""
    result = run_blocked(set(), hide)
    assert result.returncode == 1
    assert f"pip install 'groupy-gconv[{extra}]'" in result.stderr.splitlines()[-1]
