"""Names of metrics and params: injective, and what MLflow takes."""

from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from pipelines.tracking.names import as_params, metric_name

ODD = ["<=30 days", ">30 days", "C++", "C#", "a/b", "a_b", "a b", "a:b", "", ".", "..", " a", "a "]
NAMES = st.one_of(st.sampled_from(ODD), st.text(max_size=12), st.text("ab<>/.", max_size=120))


def test_two_groups_that_differ_in_a_sign_have_two_names() -> None:
    names = [metric_name("groups", "age", name, "posts") for name in ODD]
    names += [metric_name("groups", name) for name in names]  # what is escaped already
    assert len(set(names)) == len(names)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_names_meet_only_if_their_parts_do(first, second):
    assert (metric_name("x", *first) == metric_name("x", *second)) == (first == second)


@given(st.lists(NAMES, max_size=4))
def test_mlflow_takes_every_name(parts):
    name = metric_name("x", *parts)
    _validate_metric_name(name)
    assert len(name) <= 250


def test_a_name_that_mlflow_takes_stays_as_it_is() -> None:
    name = ("drift", "incumbent", "language:en", "total_ci_low")
    assert metric_name(*name) == "/".join(name)
    assert metric_name("net", "fresh slots") == "net/fresh slots"


@given(st.dictionaries(NAMES, st.one_of(st.integers(), st.dictionaries(NAMES, st.integers()))))
def test_params_keep_every_leaf_apart(tree):
    leaves = sum(len(v) if isinstance(v, dict) else 1 for v in tree.values())
    params = as_params({"x": tree})
    assert len(params) == leaves
    for name in params:
        _validate_param_name(name)
        assert len(name) <= 250


def test_dots_in_names_are_no_nesting() -> None:
    assert len(as_params({"a": {"b": 1}, "a.b": 2})) == 2
