"""Holds the figures of two revisions against one another, bit for bit.

    git worktree add ../before REVISION
    (cd ../before && PYTHON ../here/tests/figures/compare.py freeze /tmp/figures)
    .venv/bin/python tests/figures/compare.py check /tmp/figures

`freeze` runs a small study of every config with the code in the working directory and writes its
frames; `check` runs them again and compares. Names that changed in between are mapped by
`RENAMED` (columns, and values of text columns). Run times and sentences are not compared.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))  # the code in the working directory, wherever this file lies

import polars as pl

import recsys

WORLD = ("world.incumbents=300", "world.influx.newcomers=45", "evaluation.panel=60", "seeds=2")
LOG = ("log.placebo_draws=20", "evaluation.panel=200", "recommenders=[trending,item_knn]")
ALL = "[random,most_popular,trending,item_knn,ease,als,bpr,lmf,content,ranker]"
QUIET = ("workers=2", "tracking.enabled=false")
STUDIES: dict[str, tuple[str, ...]] = {
    "demo": WORLD,
    "demo_every_recommender": (
        "configs/demo.yaml",
        *WORLD,
        "seeds=1",
        f"recommenders={ALL}",
        "evaluation.days=[1,3]",
        "evaluation.one_step=true",
        "evaluation.snapshots=true",
        "evaluation.groups=[activity,skill,language,main_topic,curious,posts]",
    ),
    "demo_oracle": (
        "configs/demo.yaml",
        *WORLD,
        "recommenders=[oracle,als]",
        "evaluation.days=[1]",
    ),
    "channels": (*WORLD, "world.days_after=4", "evaluation.days=[1,3]", "world.incumbents=200"),
    "mitigations": (*WORLD, "evaluation.days=[1,6]"),
    "platforms": (*WORLD, "recommenders=[trending,als]", "evaluation.days=[1,6]"),
    "prove": (*WORLD, "world.burn_in_days=2", "evaluation.days=[1,7]"),
    "rednote": (*WORLD, "world.days_after=14", "evaluation.days=[1,4,8,9,10,12]"),
    "sensitivity": (
        *WORLD,
        "variants=[default,posted_across_high,slots_fresh_high,trend_high]",
        "evaluation.days=[1]",
        "recommenders=[trending]",
    ),
    "validate": (*WORLD, "world.days_after=4", "evaluation.days=[1,3]"),
    "kuairand": LOG,
    "kuairand_groups": (
        "configs/kuairand.yaml",
        *LOG,
        "recommenders=[als,content]",
        "evaluation.snapshots=true",
        "evaluation.groups=[activity,user_active_degree]",
        "log.holdout_days=null",
    ),
    "bookcrossing": LOG,
}
TRAININGS = (
    "als",
    "bpr",
    "content",
    "ease",
    "item_knn",
    "lmf",
    "most_popular",
    "random",
    "ranker",
    "trending",
)
TRAIN = ("k=10", "tracking.enabled=false")
SKIPPED = {"timings", "measures", "arrived", "wave", "study", "notes"}
"""Run times, sentences, and what is no frame."""
RENAMED: dict[str, str] = {
    "notes": "posts",
    "gini_notes": "gini_posts",
    **{f"who{end}": f"composition{end}" for end in ("", "_ci_low", "_ci_high")},
    **{f"who_band_{end}": f"composition_band_{end}" for end in ("low", "high")},
}
"""Old name: new name, of columns, tables and whole values of text columns."""


def frames_of(result: object) -> Iterator[tuple[str, pl.DataFrame]]:
    """The frames of a result that have rows, by name, whatever fields the class has."""
    found = dict(getattr(result, "tables", {}))
    fields = getattr(result, "__dataclass_fields__", {})
    found |= {name: getattr(result, name) for name in fields}
    for name, frame in sorted(found.items()):
        if isinstance(frame, pl.DataFrame) and frame.height and name not in SKIPPED:
            yield name, frame


def runs(only: set[str]) -> Iterator[tuple[str, object]]:
    """Every small run: its name and what it found."""
    for name, words in STUDIES.items():
        if only and name not in only:
            continue
        config = words[0] if words[0].startswith("configs/") else f"configs/{name}.yaml"
        overrides = [*(word for word in words if not word.startswith("configs/")), *QUIET]
        for study in recsys.load_studies(config, overrides):
            label = name if study.variant is None else f"{name}-{study.variant}"
            result = recsys.run(study)
            yield label, result
            if name == "demo_every_recommender":
                yield "served", _served(result.feeds)
    for name in TRAININGS:
        if not only or "train" in only:
            training = recsys.load_training(f"configs/train/{name}.yaml", TRAIN)
            yield f"train-{name}", recsys.train(training)


def _served(feeds: pl.DataFrame) -> object:
    """Two arms' feeds compared as feeds that were served."""
    feeds = feeds.filter(recommender="als", cohort="incumbent", day=1)
    columns = ("user_id", "rank", "item_id")
    return recsys.compare_feeds(
        *(feeds.filter(arm=arm).select(columns) for arm in ("control", "influx"))
    )


def renamed(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame under today's names."""
    texts = [name for name, kind in frame.schema.items() if kind in (pl.String, pl.Categorical)]
    frame = frame.with_columns(pl.col(name).cast(pl.String).replace(RENAMED) for name in texts)
    return frame.rename({name: RENAMED.get(name, name) for name in frame.columns})


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Enumerations as text, dates and the rest as they are; columns in order of their names."""
    kinds = {n: pl.String for n, k in frame.schema.items() if k in (pl.Categorical, pl.Enum)}
    return frame.cast(kinds).select(sorted(frame.columns))


def difference(before: pl.DataFrame, after: pl.DataFrame) -> str | None:
    """What differs first, or None; floats are compared by their bits."""
    before, after = plain(renamed(before)), plain(after)
    if before.columns != after.columns:
        missing = set(before.columns) ^ set(after.columns)
        return f"columns {sorted(missing)} stand on one side only"
    if before.height != after.height:
        return f"{before.height} rows before, {after.height} after"
    for name in before.columns:
        left, right = before[name], after[name]
        if left.dtype != right.dtype:
            return f"{name} was {left.dtype}, is {right.dtype}"
        if not left.equals(right, null_equal=True):
            row = (left.ne_missing(right)).arg_true()[0]
            return f"{name}, row {row}: {left[row]!r} before, {right[row]!r} after"
    return None


def main(do: str, folder: Path, only: set[str]) -> int:
    """Freezes or checks; the exit code is the number of runs that differ."""
    wrong = 0
    for label, result in runs(only):
        place, found = folder / label, dict(frames_of(result))
        if do == "freeze":
            place.mkdir(parents=True, exist_ok=True)
            for name, frame in found.items():
                frame.write_parquet(place / f"{name}.parquet")
            print(f"frozen  {label}: {len(found)} frames", flush=True)
            continue
        read = {path.stem: pl.read_parquet(path) for path in place.glob("*.parquet")}
        frozen = {RENAMED.get(name, name): frame for name, frame in read.items() if frame.height}
        told = [f"{name} stands on one side only" for name in sorted(frozen.keys() ^ found.keys())]
        both = sorted(frozen.keys() & found.keys())
        said = {name: difference(frozen[name], found[name]) for name in both}
        told += [f"{name}: {words}" for name, words in said.items() if words]
        wrong += bool(told or not frozen)
        print(
            f"{'DIFFERS' if told or not frozen else 'same'}    {label}: "
            f"{'; '.join(told) or f'{len(found)} frames'}",
            flush=True,
        )
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), set(sys.argv[3:])))
