"""Dependencies point one way: commands -> training -> models -> families -> nn -> math -> core."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# part of zoo -> what it may import beside itself and zoo.errors
GROUND = {"core", "math", "nn", "families"}
ALLOWED = {
    "errors": set(),
    "core": set(),
    "math": {"core"},
    "nn": {"core", "math"},
    "families": {"core", "math", "nn"},
    "models": GROUND,
    "recipes": {"core"},
    "registry": {"core", "recipes", "families"},
    "data": {"core"},
    "hub": {"core", "recipes", "registry", "math", "families"},
    "evaluation": {"core", "math", "data"},
    "drawing": {"core", "math", "data", "evaluation"},
    "training": {*GROUND, "recipes", "registry", "data", "hub", "evaluation", "drawing"},
    "commands": {"core", "recipes", "registry", "data", "hub", "evaluation", "drawing", "training"},
    "__main__": {"commands"},
}
FILES = sorted((ROOT / "zoo").rglob("*.py"))


def imports(path):
    """Dotted names of all that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides its layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_layers(path):
    parts = path.relative_to(ROOT / "zoo").with_suffix("").parts
    if parts == ("__init__",):
        return  # the public functions wire everything together, inside their bodies
    for name in imports(path):
        top, *rest = name.split(".")
        assert top != "tf_keras" and not name.startswith("tensorflow_probability.layers"), name
        if name == "zoo" or name == "zoo.__version__":
            assert parts[0] == "commands", f"{path}: what all stand on does not import the whole"
        elif top == "zoo":
            allowed = {"errors", parts[0], *ALLOWED[parts[0]]}
            assert rest[0] in allowed, f"{path}: {name}"


def test_a_model_imports_one_sibling_at_the_most():
    for path in (ROOT / "zoo" / "models").glob("*.py"):
        siblings = [n for n in imports(path) if n.startswith("zoo.models.")]
        assert len(siblings) <= 1, path


def test_a_train_step_belongs_to_a_family():
    for path in FILES:
        if "def train_step" in path.read_text(encoding="utf-8"):
            assert path.parent.name == "families"


def test_importing_zoo_imports_no_tensorflow(run_python):
    run_python(
        "import sys, zoo, zoo.commands.cli, zoo.data, zoo.recipes; zoo.list_models();"
        "assert not {'tensorflow', 'keras', 'tensorflow_probability'} & set(sys.modules)",
        fresh=True,
    )
