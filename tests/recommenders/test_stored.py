"""Files of models that somebody made up: refused in words, whatever stands in them."""

import io
import json
import resource
import shutil
import zipfile
from pathlib import Path
from uuid import uuid4

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.core.errors import LogError, ModelError
from recsys.core.sums import write_sums
from recsys.logs.log import InteractionLog
from recsys.recommenders import RECOMMENDERS, PlatformRanker
from recsys.recommenders.store import load_model, save_model
from recsys.recommenders.stored import checked_csr, read_array, read_arrays, read_table

SMALL = {
    "als": {"factors": 2, "iterations": 1},
    "bpr": {"factors": 2, "iterations": 1},
    "lmf": {"factors": 2, "iterations": 1},
    "ranker": {"factors": 2, "iterations": 2, "leaf_examples": 5},
    "two_tower": {"factors": 2, "iterations": 1},
}
RECALLED = "platform_ranker with recall"
MODELS = [*RECOMMENDERS, RECALLED]
SOME_MEMORY = 2**30
"""Bytes; the models of these tests have some kB."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folder of a stored model of each recommender."""
    rng = np.random.default_rng(5)
    n = 900
    log = InteractionLog.from_frames(
        {
            "user_id": rng.integers(0, 60, n),
            "item_id": (28 * rng.random(n) ** 2).astype(int),
            "kind": rng.choice(["click", "impression"], n).tolist(),
            "timestamp": 1_736_640_000 + np.sort(rng.integers(0, 5 * 86_400, n)),
        },
        {"user_id": np.arange(60), "age": rng.integers(0, 90, 60)},
        {
            "item_id": np.arange(28),
            "topic": ["a", "b"] * 14,
            "language": ["zh", "en"] * 14,
            "format": ["short", "short", "long", "long"] * 7,
            "creator_id": np.arange(28) % 9,
            "genres": [["x", "y"], ["x"], [], None] * 7,
            "text": rng.normal(size=(28, 3)),
        },
    )
    root = tmp_path_factory.mktemp("models")
    for name, kind in RECOMMENDERS.items():
        save_model(kind(**SMALL.get(name, {})).fit(log, seed=1), root / name)
    every_option = PlatformRanker(recall=3, creator_prior=1.0, format_weight=1.0)
    save_model(every_option.fit(log, seed=1), root / RECALLED)
    return root


def changed(models, name, change):
    """A copy of a stored model, changed, with the right checksums."""
    place = models.parent / f"copy-{uuid4().hex}"
    shutil.copytree(models / name, place)
    change(place)
    write_sums(place)
    return place


def with_arrays(change):
    """A change of the arrays of a model."""

    def change_file(place):
        with np.load(place / "arrays.npz") as file:
            arrays = dict(file)
        change(arrays)
        np.savez(place / "arrays.npz", **arrays)

    return change_file


def set_array(name, make):
    """A change of the one array whose name ends so."""

    def change(arrays):
        (key,) = [key for key in arrays if key.endswith(name)]
        arrays[key] = make(arrays[key])

    return with_arrays(change)


def with_field(name, value):
    """A change of a field of the model in its record."""

    def change(place):
        record = json.loads((place / "model.json").read_text())
        record["model"]["fields"][name] = value
        (place / "model.json").write_text(json.dumps(record))

    return change


def with_trees(name, value):
    """A change of a field of the ranker's trees."""

    def change(place):
        record = json.loads((place / "model.json").read_text())
        record["model"]["fields"]["trees"]["fields"][name] = value
        (place / "model.json").write_text(json.dumps(record))

    return change


def put(index, value):
    def make(array):
        made = array.copy()
        made[index] = value
        return made

    return make


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("item_knn", set_array("liked.indptr", put(3, -(2**20))), "rows of a sparse matrix"),
        ("item_knn", set_array("liked.indptr", put(-1, 10**6)), "rows of a sparse matrix"),
        ("item_knn", set_array("similar.indices", put(0, 10**6)), "names a column"),
        ("item_knn", set_array("similar.indices", put(0, -1)), "names a column"),
        ("item_knn", set_array("similar.data", lambda a: a[:-1]), "do not fit its shape"),
        ("item_knn", set_array("similar.data", put(0, np.nan)), "not finite"),
        ("ease", set_array("inverse", lambda a: a[:-1]), "inverse is float64"),
        ("als", set_array("user_factors", lambda a: a[:-1]), "user_factors is float32"),
        ("als", set_array("item_factors", lambda a: a[:, :1]), "item_factors is float32"),
        ("als", set_array("item_factors", put(0, np.inf)), "not finite"),
        ("bpr", set_array("user_factors", lambda a: a.astype("U8")), "user_factors is <U"),
        ("content", set_array("solution", lambda a: a[:1]), "solution is float64"),
        ("content", set_array("vectors", lambda a: a[:, :1]), "solution is float64"),
        ("content", set_array("vectors", lambda a: a[:-1]), "vectors is float32"),
        ("trending", set_array("heat", lambda a: a[:-1]), "heat is float64"),
        ("platform_ranker", set_array(".topic", put(0, 10**9)), "topic names a kind"),
        ("platform_ranker", set_array(".topic", put(0, -2)), "topic names a kind"),
        ("platform_ranker", set_array("by_topic", lambda a: a[:-1]), "by_topic is float32"),
        ("ranker", set_array("columns", put(0, 10**6)), "columns names a feature"),
        ("ranker", with_trees("source", 4), "the trees have source 4"),
        ("ranker", with_trees("source", -1), "source is -1, not an int from 0 on"),
        ("ranker", with_trees("trust", 1.5), "the trees have source .* and trust 1.5"),
        ("ranker", with_trees("trust", 1), "trust is 1, not an float"),
        (RECALLED, set_array("by_topic", put(0, -1)), "by_topic holds a number below 0"),
        (RECALLED, set_array("by_format", put(0, -1)), "by_format holds a number below 0"),
        (RECALLED, set_array(".weight", put(0, -1e-9)), "weight holds a number below 0"),
        (RECALLED, set_array("liked_by", put(0, -1)), "liked_by holds a number below 0"),
        (RECALLED, set_array("liked_by", put(0, np.inf)), "not finite"),
        (RECALLED, set_array("maker", put(0, -2)), "maker holds a number below -1"),
        (RECALLED, set_array("maker", put(0, 2**31 - 1)), "more creators than there are items"),
        (RECALLED, set_array("follow_start", put(1, -1)), "does not divide follows"),
        (RECALLED, set_array("follow_start", put(-1, 10**6)), "does not divide follows"),
        (RECALLED, set_array("follows", put(0, 10**6)), "a creator that there is not"),
        (RECALLED, set_array("follows", lambda a: a[::-1]), "does not ascend for each user"),
        (RECALLED, set_array("follows", lambda a: np.repeat(a[0], a.size)), "does not ascend"),
        (RECALLED, with_field("recall", None), "recall and sources do not go together"),
        (RECALLED, with_field("recall", 0), "recall is 0, not an int from 1 on"),
        (RECALLED, with_field("recall", 2.5), "recall is 2.5, not an int"),
        (RECALLED, with_field("sources", {"tuple": []}), "recall and sources do not go together"),
        ("platform_ranker", with_field("recall", 3), "recall and sources do not go together"),
        (RECALLED, with_field("sources", []), "recall and sources do not go together"),
        (RECALLED, with_field("sources", None), "recall and sources do not go together"),
        (RECALLED, with_field("sources", {"tuple": [5]}), "a source is no model of this log"),
        (RECALLED, set_array("heat", lambda a: a[:-1]), "heat is float64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(models, name, change, message):
    with pytest.raises(ModelError, match=message):
        load_model(changed(models, name, change))


def trees_changed(field, index, value):
    """A change of the first tree of the ranker's classifier."""
    import skops.io

    def make(data):
        classifier = skops.io.loads(
            data.tobytes(), trusted=skops.io.get_untrusted_types(data=data.tobytes())
        )
        nodes = classifier._predictors[0][0].nodes.copy()
        nodes[field][index] = value
        classifier._predictors[0][0].nodes = nodes
        return np.frombuffer(skops.io.dumps(classifier), dtype=np.uint8)

    return set_array("classifier", make)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("left", 10**6, "points to no later node"),
        ("right", 0, "points to no later node"),
        ("left", 2, "not below exactly one other"),
        ("feature_idx", 10**6, "a feature that there is not"),
        ("feature_idx", -1, "a feature that there is not"),
        ("is_categorical", 1, "a feature that there is not"),
        ("value", np.nan, "a value that is not finite"),
    ],
)
def test_trees_that_cannot_be_walked_are_refused(models, field, value, message):
    with pytest.raises(ModelError, match=message):
        load_model(changed(models, "ranker", trees_changed(field, 0, value)))


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("events", lambda t: t.with_columns(user=pl.lit(60, pl.UInt32)), "events name user 60"),
        ("events", lambda t: t.with_columns(user=pl.lit(None, pl.UInt32)), "have no user"),
        ("events", lambda t: t.with_columns(item=pl.lit(-1, pl.Int64)), "have no item"),
        ("events", lambda t: t.with_columns(weight=pl.lit(np.inf, pl.Float32)), "not finite"),
        ("events", lambda t: t.drop("kind"), "have no kind"),
        ("users", lambda t: t.with_columns(user_id=pl.lit(1)), "user_id is not known"),
        ("users", lambda t: t.with_columns(key=pl.lit(1.0)), "have no key"),
        ("users", lambda t: t.with_columns(cohort=pl.lit("x")), "have no cohort"),
        ("items", lambda t: t.with_columns(item_id=pl.lit(None, pl.Int64)), "item_id is not known"),
        ("items", lambda t: t.clear(), "names a row that log-0-items.parquet does not have"),
    ],
)
def test_tables_that_do_not_fit_are_refused(models, table, change, message):
    def change_file(place):
        path = place / f"log-0-{table}.parquet"
        change(pl.read_parquet(path)).write_parquet(path)

    with pytest.raises(ModelError, match=message):
        load_model(changed(models, "most_popular", change_file))


def npz(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def header(shape, dtype="<f8", data=b""):
    """The bytes of an array that tells a shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + data


def test_arrays_cannot_swell(tmp_path):
    path = tmp_path / "arrays.npz"
    npz(path, {"a.npy": header((10**6,), data=bytes(8 * 10**6))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        read_arrays(path)
    for shape in ((10**15,), (2**62, 2**62), (-1,), (2, -3)):
        npz(path, {"a.npy": header(shape, data=bytes(48))})
        with pytest.raises(ValueError, match="the size that it tells"):
            read_arrays(path)
    (tmp_path / "a.npy").write_bytes(header((10**15,), "|b1"))
    with pytest.raises(ValueError, match="the size that it tells"):
        read_array(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(header((1,), "|O", bytes(8)))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_array(tmp_path / "a.npy")


def test_arrays_come_back(tmp_path):
    arrays = {
        "a": np.arange(6.0).reshape(2, 3, order="F"),
        "b": np.array(["x", "yz"]),
        "c": np.int8(3),
    }
    np.savez(tmp_path / "arrays.npz", **arrays)
    for name, array in read_arrays(tmp_path / "arrays.npz").items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == np.asarray(arrays[name]).dtype


def test_tables_cannot_swell(tmp_path):
    path = tmp_path / "users.parquet"
    pl.select(pl.repeat(1, 10**8, dtype=pl.Int64).alias("user_id")).write_parquet(path)
    assert path.stat().st_size < 10**6
    with pytest.raises(ValueError, match="more than its file can hold"):
        read_table(path)


def test_lists_cannot_swell(tmp_path):
    path = tmp_path / "items.parquet"
    pl.select(pl.repeat(0.0, 10**6).implode().alias("text")).write_parquet(path)
    with pytest.raises(ValueError, match=r"holds a column of List\(Float64\)"):
        read_table(path)
    wide = pl.Array(pl.Float32, 2**20)
    pl.select(
        pl.repeat(0.0, 2**25, dtype=pl.Float32).reshape((32, 2**20)).alias("text").cast(wide)
    ).write_parquet(path)
    with pytest.raises(ValueError, match="more than its file can hold"):
        read_table(path)


@pytest.mark.parametrize(
    ("rows", "tags", "message"),
    [
        ([0, 28], ["a", "b"], "names a row that log-0-items.parquet does not have"),
        ([1, 0], ["a", "b"], "names a row"),
        ([0, None], ["a", "b"], "holds no rows and tags"),
        ([0, 1], ["a", None], "holds no rows and tags"),
        ([0, 1], [1, 2], "holds no rows and tags"),
    ],
)
def test_tags_that_do_not_fit_are_refused(models, rows, tags, message):
    flat = pl.DataFrame({"row": rows, "tag": tags}, schema_overrides={"row": pl.UInt32})

    def change(place):
        flat.write_parquet(place / "log-0-items-tags-1.parquet")

    with pytest.raises(ModelError, match=message):
        load_model(changed(models, "most_popular", change))


def test_every_file_has_a_checksum_that_is_needed(models):
    files = {path.name for path in (models / "content").iterdir()} - {"SHA256SUMS"}
    assert "log-0-items-tags-5.parquet" in files
    for name in files:
        folder = changed(models, "content", lambda _: None)
        lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
        left = [line for line in lines if not line.endswith(f"  {name}\n")]
        assert len(left) == len(lines) - 1
        (folder / "SHA256SUMS").write_text("".join(left))
        with pytest.raises(ModelError, match=f"{name} has no checksum"):
            load_model(folder)


def test_a_file_that_was_put_there_is_refused(models):
    folder = changed(models, "content", lambda _: None)
    flat = pl.DataFrame({"row": [0], "tag": ["z"]}, schema_overrides={"row": pl.UInt32})
    flat.write_parquet(folder / "log-0-items-tags-1.parquet")
    with pytest.raises(ModelError, match=r"tags-1\.parquet has no checksum"):
        load_model(folder)


@pytest.mark.parametrize("shape", [[2], [2, -1], [2, 2**40], ["2", 2], [2.0, 2]])
def test_shapes_of_matrices(shape):
    parts = [np.ones(1), np.zeros(1, np.int32), np.array([0, 1, 1])]
    assert checked_csr(parts, [2, 2]).nnz == 1
    with pytest.raises(ValueError, match="shape"):
        checked_csr(parts, shape)


def test_a_record_that_is_nested_deeply(models):
    deep = "[" * 100_000 + "]" * 100_000
    folder = changed(
        models,
        "random",
        lambda place: (place / "model.json").write_text(f'{{"format": 3, "model": {deep}}}'),
    )
    with pytest.raises(ModelError, match="damaged"):
        load_model(folder)


# Any change of any file


@st.composite
def changes(draw):
    """A recommender, and a change of a file of its model."""
    name = draw(st.sampled_from(MODELS))
    what = draw(st.sampled_from(["arrays", "arrays", "arrays", "record", "table", "bytes"]))
    change = {"arrays": of_arrays, "record": of_record, "table": of_table, "bytes": of_bytes}[what]
    return name, draw(change())


ODD = [0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**62, 255, 60, 28]
TYPES = ["<i8", "<i4", "<u4", "<f8", "<f4", "|b1", "<U3", "<c16", "<M8[s]", "|u1"]


@st.composite
def of_arrays(draw):
    pick = draw(st.integers(0, 50))
    how = draw(
        st.sampled_from(["value", "cut", "double", "type", "shape", "gone", "swap", "empty"])
    )
    place, value = draw(st.integers(0, 10**6)), draw(st.sampled_from(ODD))
    kind = draw(st.sampled_from(TYPES))

    def change(arrays):
        if not arrays:
            return
        names = sorted(arrays)
        name = names[pick % len(names)]
        array = arrays[name]
        if how == "value" and array.size and array.dtype.kind in "iuf":
            with np.errstate(all="ignore"):
                flat = array.reshape(-1).copy()
                flat[place % flat.size] = np.array(value).astype(array.dtype)
            arrays[name] = flat.reshape(array.shape)
        elif how == "cut":
            arrays[name] = array[: array.shape[0] // 2] if array.ndim else array
        elif how == "double":
            arrays[name] = np.concatenate([array, array]) if array.ndim else array
        elif how == "type" and array.dtype.kind in "iufb":
            with np.errstate(all="ignore"):
                arrays[name] = array.astype("<i8").astype(kind)
        elif how == "shape":
            arrays[name] = array.reshape(-1)
        elif how == "gone":
            del arrays[name]
        elif how == "swap":
            arrays[name] = arrays[names[place % len(names)]]
        elif how == "empty":
            arrays[name] = array.reshape(-1)[:0]

    return with_arrays(change)


@st.composite
def of_record(draw):
    pick = draw(st.integers(0, 1000))
    values = [
        *(None, 0, -1, 10**30, 1e308, "x", [], {}, {"array": "x"}, {"log": 0}, {"log": -1}),
        *({"csr": [], "shape": []}, {"class": "Evidence", "fields": {}}, {"tuple": 5}),
        *({"options": "ALS", "values": {"factors": 10**9}}, {"list": [{"log": 0}] * 5}),
    ]
    value = draw(st.sampled_from(values))

    def change(place):
        record = json.loads((place / "model.json").read_text())
        spots = list(nodes(record["model"]))
        inside, key = spots[pick % len(spots)]
        inside[key] = value
        (place / "model.json").write_text(json.dumps(record))

    return change


def nodes(tree):
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from nodes(value)


@st.composite
def of_table(draw):
    table = draw(st.sampled_from(["users", "items", "events"]))
    pick, value = draw(st.integers(0, 20)), draw(st.sampled_from([*ODD, None, "x", 1.5]))
    how = draw(st.sampled_from(["value", "drop", "rename", "head", "double", "null", "shuffle"]))

    def change(place):
        path = place / f"log-0-{table}.parquet"
        frame = pl.read_parquet(path)
        name = frame.columns[pick % frame.width]
        changed_to = {
            "value": lambda: frame.with_columns(pl.lit(value).alias(name)),
            "drop": lambda: frame.drop(name),
            "rename": lambda: frame.rename({name: "other"}),
            "head": lambda: frame.head(pick),
            "double": lambda: pl.concat([frame, frame]),
            "null": lambda: frame.with_columns(pl.lit(None, frame.schema[name]).alias(name)),
            "shuffle": lambda: frame.with_columns(pl.col(name).reverse()),
        }[how]()
        changed_to.write_parquet(path)

    return change


@st.composite
def of_bytes(draw):
    files = ["arrays.npz", "model.json", "log-0-events.parquet", "log-0-users.parquet"]
    name, where = draw(st.sampled_from(files)), draw(st.integers(0, 10**6))
    new = draw(st.binary(min_size=1, max_size=6))

    def change(place):
        data = bytearray((place / name).read_bytes())
        at = where % len(data)
        data[at : at + len(new)] = new
        (place / name).write_bytes(bytes(data))

    return change


def check_change(models, made):
    name, change = made
    folder = changed(models, name, change)
    try:
        model = load_model(folder)
    except ModelError:
        return
    finally:
        shutil.rmtree(folder)
    model.rank(np.array([0, 7, -1]), 5)
    if (model.log.dense["weight"] > 0).any():
        assert model.recommend([3, 10**6], 5).height <= 10
        return
    with pytest.raises(LogError, match="nothing is trending"):  # no like is left in its log
        model.recommend([3, 10**6], 5)


def check_memory(before):
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) * 1024 < SOME_MEMORY


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=80, suppress_health_check=QUIET)
@given(made=changes())
def test_any_change_ends_in_a_model_or_a_message(models, made):
    check_change(models, made)


@pytest.mark.slow
def test_thousands_of_changes_take_little_memory(models):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(max_examples=5000, suppress_health_check=QUIET)
    @given(made=changes())
    def check(made):
        check_change(models, made)

    check()
    check_memory(before)


def test_folders_are_left_as_they_were(models):
    assert {path.name for path in Path(models).iterdir()} == set(MODELS)
