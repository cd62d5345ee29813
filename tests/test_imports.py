"""What loads what: a quick start, public names, and imports that point one way."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import recsys

PACKAGE = Path(recsys.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = Path(__file__).parent
TEST_MODULES = sorted(TESTS.rglob("*.py"))

# From top to bottom: a part may import itself and those below it.
LAYERS = (
    "testing",
    "checks",
    "served",
    "training",
    "study",
    "estimates",
    "mitigations",
    "recommenders",
    "world",
    "measures",
    "logs",
    "statistics",
    "engines",
    "config",
    "core",
)
BLIND = {("recommenders", "world"), ("mitigations", "world")}
"""Below, and yet not to be seen: who recommends does not know the truth."""
OURS = {("benchmarks",), ("contracts",), ("figures",), ("kit",), ("laws",), ("pipelines",)}
"""Folders of tests/ whose subject is more than one part of recsys, or none."""
RANDOM = {"numpy.random", "random", "secrets"}
HEAVY = {"implicit", "mlflow", "numba", "scipy", "sklearn"}

START = """
import sys, time
import polars, pydantic
before = time.perf_counter()
import recsys
print(time.perf_counter() - before, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_import_is_quick_and_light():
    done = subprocess.run(
        [sys.executable, "-c", START],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    seconds, *loaded = done.stdout.split()
    assert not HEAVY & set(loaded)
    assert float(seconds) <= 0.5  # beyond polars and pydantic; usually some milliseconds


@pytest.mark.parametrize("name", recsys.__all__)
def test_public_names_resolve(name):
    assert getattr(recsys, name) is not None


def test_unknown_names_do_not_resolve():
    with pytest.raises(AttributeError, match="module 'recsys' has no attribute 'simulat'"):
        _ = recsys.simulat


def part_of(module):
    """The part of recsys that a module belongs to: `world` of `recsys.world.people.posts`."""
    return [*module.split("."), "__init__"][1]


def imported(path):
    """Full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path):
    return ".".join(["recsys", *path.relative_to(PACKAGE).with_suffix("").parts])


def allowed(importer):
    """The parts of recsys that a part may import."""
    below = set(LAYERS[LAYERS.index(importer) :])
    return {part for part in below if (importer, part) not in BLIND}


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_imports_point_down(path):
    names = set(imported(path))
    assert not {name for name in names if name.split(".")[0] in {"pipelines", "mlflow"}}
    part = part_of(module_of(path))
    if part == "__init__":
        return
    assert part in LAYERS, f"{part} belongs to no layer yet"
    ours = {part_of(name) for name in names if name.startswith("recsys.")}
    beyond = (ours & set(LAYERS)) - allowed(part)
    assert not beyond, f"{module_of(path)} imports {beyond}"


def test_the_layers_are_the_folders():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(LAYERS)


def graph():
    """Module: the modules of recsys that it imports; of names, the module that has them."""
    modules = {module_of(path).removesuffix(".__init__"): path for path in MODULES}
    return {
        module: {name for name in imported(path) if name in modules and name != module}
        for module, path in modules.items()
    }


def circles(arrows):
    """Nodes from which a walk along the arrows comes back."""
    left = dict(arrows)
    while free := {node for node, to in left.items() if not to & left.keys()}:
        left = {node: to for node, to in left.items() if node not in free}
    return sorted(left)


def test_no_imports_go_in_a_circle():
    packages = {m for m in graph() if f"{m}.__init__" in {module_of(path) for path in MODULES}}
    arrows = {m: to - packages for m, to in graph().items() if m not in packages}
    assert circles(arrows) == []


def test_circles_are_found():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert circles(arrows) == ["a", "b", "c"]


def test_names_for_type_checkers_are_those_that_load():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.name: "recsys.measures" if alias.name == "measures" else node.module
        for node in checked.body
        for alias in node.names
    }
    assert names == recsys._HOME


def test_the_walk_finds_imports(tmp_path):
    file = tmp_path / "leak.py"
    file.write_text("def f():\n    from recsys.world import posts\n    import mlflow.pyfunc\n")
    assert set(imported(file)) == {"recsys.world", "recsys.world.posts", "mlflow.pyfunc"}


def tests_named(path):
    """Test modules and conftests that a file of tests/ imports: it may import from tests.kit."""
    names = {name for name in imported(path) if name.split(".")[0] == "tests"}
    return {name for name in names if not name.startswith("tests.kit")}


def below_tests(path):
    return str(path.relative_to(TESTS))


@pytest.mark.parametrize("path", TEST_MODULES, ids=below_tests)
def test_no_test_module_imports_another(path):
    """What tests share is a fixture of a conftest.py, or a function in tests/kit/."""
    assert tests_named(path) == set()


def test_the_walk_finds_an_imported_test(tmp_path):
    file = tmp_path / "leak.py"
    file.write_text("from tests.world.conftest import world\nfrom tests.kit import open_loop\n")
    assert tests_named(file) == {"tests.world.conftest", "tests.world.conftest.world"}
    file.write_text("from .conftest import world\n")
    with pytest.raises(AssertionError, match="imports are absolute"):
        tests_named(file)


def test_the_kit_holds_no_tests():
    for path in (TESTS / "kit").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert not {name for name in defined if name.startswith("test")}, path


def folders(of):
    """Folders that hold Python files, as paths below `of`."""
    return {path.parent.relative_to(of) for path in of.rglob("*.py")}


@pytest.mark.parametrize("part", ["recsys", "pipelines"])
def test_the_folders_of_tests_are_those_of_what_they_test(part):
    """tests/world/day holds the tests of recsys/world/day, tests/pipelines those of programs."""
    root = TESTS / "pipelines" if part == "pipelines" else TESTS
    mine = {path for path in folders(root) if part == "pipelines" or path.parts[:1] not in OURS}
    assert mine <= folders(PACKAGE.parent / part)


def offences(tree):
    """Global randomness and prints in a syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "random":
            if isinstance(node.value, ast.Name) and node.value.id in {"np", "numpy"}:
                yield f"{node.lineno}: np.random"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "print":
                yield f"{node.lineno}: print"
        elif isinstance(node, ast.Import):
            yield from (
                f"{node.lineno}: {alias.name}" for alias in node.names if alias.name in RANDOM
            )
        elif isinstance(node, ast.ImportFrom):
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            yield from (f"{node.lineno}: {name}" for name in names & RANDOM)


SEEDED = re.compile(r"np\.random\.default_rng\(\w+\)")
"""A generator of its own with a seed: `testing` draws its communities with it."""


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_no_global_randomness_and_no_print(path):
    code = path.read_text(encoding="utf-8")
    if part_of(module_of(path)) == "testing":
        code = SEEDED.sub("seeded()", code)
    assert list(offences(ast.parse(code))) == []


WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
import recsys.testing
from recsys.measures import MEASURES
recsys.testing.check_measure(MEASURES["jaccard"], both_empty=0.0, one_empty=1.0)
"""


def test_contracts_need_no_pytest():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTEST],
        capture_output=True,
        text=True,
        check=False,
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import random",
        "from random import gauss",
        "np.random.rand()",
        "from numpy import random",
        "import numpy.random",
        "print(1)",
    ],
)
def test_the_walk_finds_offences(code):
    assert len(list(offences(ast.parse(code)))) == 1
