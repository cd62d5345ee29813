"""Speeds side by side with other simulators, measures and recommenders: `make bench-peers`.

Each peer gets an environment of its own below data/peers, made once, since some need old libraries.
All work is done by one thread, one program after the other, and told in CPU seconds.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table
from split import write_split

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PLACE = ROOT / "data/peers"
KUAIRAND = ROOT.parent / "shared/data/kuairand_pure_slice/interactions.parquet"
MOVIELENS = ROOT / "data/movielens-100k/events.parquet"
"""Public logs: recommenders are compared on those that are here."""
RIVALS = {"recsys als": "irspack IALS", "recsys ease": "irspack EDLAE"}
"""Ours, and the peer of the same idea, whose NDCG are compared user by user."""
OURS = "recsys"
ENVIRONMENTS = {
    "trecs": (
        "numpy<2 pandas<2 scipy<1.12 networkx tqdm scikit-learn numba==0.60.* csr seedbank "
        "binpickle cffi",
        "trecs==0.2.1 lenskit==0.14.4",
    ),
    "recsim_ng": (
        "tensorflow-cpu==2.15.1 tensorflow-probability==0.23.0 numpy==1.26.* scipy==1.10.1 edward2 "
        "gin-config absl-py gym",
        "recsim_ng==0.1.2",
    ),
    "lists": ("rbo==0.1.3", ""),
    "ranx": ("ranx==0.3.21", ""),
    "rectools": ("rectools==0.19.0 implicit", ""),
    "irspack": ("irspack==0.5.2", ""),
    "lenskit": ("lenskit==2025.8.1 torch~=2.13.0", ""),
}
"""What is installed for a peer, and what is installed there without its own, outdated, demands.

LensKit needs torch, of which pip takes a wheel without graphics cards where it is offered one.
"""
BEGIN = '{"by"'
"""Begins what `said.say` prints; some libraries leave a progress bar on the same line."""
_LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "LK", "RAYON")
ONE_THREAD = {"POLARS_MAX_THREADS": "1", **{f"{name}_NUM_THREADS": "1" for name in _LIBRARIES}}


class Work(NamedTuple):
    """Something that several programs do.

    Attributes:
        title: what is counted, and of how much.
        programs: each program with its environment; the first is ours.
        arguments: what all of them get.
        rounds: how often all of them do it, in turn; of each the best round is told, since other
            users of a machine slow a round down and never make it quicker.
    """

    title: str
    programs: list[tuple[str, str]]
    arguments: Sequence[str]
    rounds: int = 3


def works(splits: Mapping[str, Path]) -> Iterator[Work]:
    """All that is compared."""
    steps = [(OURS, "simulate_recsys"), (OURS, "simulate_numpy")]
    small = [*steps, ("trecs", "simulate_trecs")]
    yield Work("user-steps, 10,000 people, 1,000 posts", small, ("10000", "1000"))
    wide = [*steps, ("recsim_ng", "simulate_recsim_ng")]
    yield Work("user-steps, 2,000 people, 10,000 posts", wide, ("2000", "10000"))
    yield Work("user-steps, 10,000 people, 10,000 posts", steps, ("10000", "10000"))
    overlap = [(OURS, "overlap_recsys"), ("lists", "overlap_peers"), ("lenskit", "overlap_lenskit")]
    yield Work("pairs of lists of 20, rank-biased overlap", overlap, ("100000", "20"))
    quality = [(OURS, "ndcg_recsys"), ("ranx", "ndcg_ranx")]
    yield Work("users, NDCG of lists of 20", quality, ("100000", "20"))
    theirs = [(name, f"recommend_{name}") for name in ("rectools", "irspack", "lenskit")]
    models = [(OURS, "recommend_recsys"), *theirs]
    for name, path in splits.items():
        yield Work(f"users served 20 items, {name}", models, (str(path),), rounds=1)


def python_of(name: str) -> str:
    """The Python of an environment, which is made if needed.

    Args:
        name: a key of `ENVIRONMENTS`, or `OURS`.
    """
    if name == OURS:
        return sys.executable
    place = PLACE / name
    if not (place / "made").exists():
        print(f"making {place.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
        venv.create(place, with_pip=True, clear=True)
        pip = [str(place / "bin/pip"), "install", "-q", "--disable-pip-version-check"]
        packages, bare = ENVIRONMENTS[name]
        subprocess.run([*pip, *packages.split()], check=True)
        if bare:
            subprocess.run([*pip, "--no-deps", *bare.split()], check=True)
        (place / "made").touch()
    return str(place / "bin/python")


def figures(work: Work) -> list[dict[str, Any]]:
    """What the programs of a work tell; a program that fails is named and left out."""
    best: dict[str, dict[str, Any]] = {}
    for environment, program in work.programs * work.rounds:
        command = [python_of(environment), str(HERE / f"{program}.py"), *work.arguments]
        ours = {"PYTHONPATH": str(ROOT)} if environment == OURS else {}
        done = subprocess.run(
            command,
            cwd=PLACE,  # some packages write a log where they run
            env={**os.environ, "PYTHONPATH": "", **ours, **ONE_THREAD},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"{program}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        found = (line.partition(BEGIN) for line in done.stdout.splitlines())
        for told in (json.loads(BEGIN + rest) for _, begin, rest in found if begin):
            before = best.get(told["by"], told)
            best[told["by"]] = min(before, told, key=lambda one: one["seconds"] / one["count"])
    return list(best.values())


def table_of(work: Work, told: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each program: how many a second, and our first one as a multiple of it."""
    best = told[0]["count"] / told[0]["seconds"]
    more = [name for name in told[0] if name not in ("by", "count", "seconds")]
    table = Table("by", "a second", "ours / its", *more, title=work.title, title_justify="left")
    for row in told:
        speed = row["count"] / row["seconds"]
        extra = (f"{row[name]:.4g}" if name in row else "" for name in more)
        table.add_row(row["by"], f"{speed:,.0f}", f"{best / speed:.2g}", *extra)
    return table


def splits() -> dict[str, Path]:
    """The splits of the public logs that are on this machine."""
    found = {}
    if KUAIRAND.is_file():
        rows = pl.read_parquet(KUAIRAND).filter(pl.col("is_click") == 1)
        date = pl.from_epoch("timestamp").dt.date()
        last = rows.select(date.max()).item() - timedelta(days=1)
        clicks = rows.select("user_id", "item_id", late=date >= last)
        found["KuaiRand, last two days"] = _split(clicks, "kuairand")
        found["KuaiRand, a fifth of each by lot"] = _split(_by_lot(rows), "kuairand_lot")
    if MOVIELENS.is_file():
        liked = pl.read_parquet(MOVIELENS).filter(pl.col("rating") >= 4)
        found["MovieLens, a fifth of each by lot"] = _split(_by_lot(liked), "movielens")
        late = (pl.col("timestamp").rank("ordinal") / pl.len()).over("user_id") > 0.8
        of_each = liked.select("user_id", "item_id", late=late)
        found["MovieLens, the last fifth of each"] = _split(of_each, "movielens_last")
        last = pl.col("timestamp") > pl.col("timestamp").quantile(0.8)
        of_all = liked.select("user_id", "item_id", late=last)
        found["MovieLens, the last fifth of all"] = _split(of_all, "movielens_time")
    return found


def _by_lot(liked: pl.DataFrame) -> pl.DataFrame:
    lot = pl.int_range(pl.len()).shuffle(seed=0).over("user_id") / pl.len().over("user_id")
    return liked.select("user_id", "item_id", late=lot < 0.2)


def differences(path: Path, told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Our NDCG less the rival's, as a share of the rival's, with a 95 % interval paired by user."""
    by = {row["by"] for row in told}
    for ours, other in RIVALS.items():
        if ours in by and other in by:
            one, two = (np.load(f"{path}.{name}.npy") for name in (ours, other))
            gain, error = (one - two).mean(), 1.96 * (one - two).std(ddof=1) / np.sqrt(one.size)
            share, about = 100 * gain / two.mean(), 100 * error / two.mean()
            found = f"{gain:+.4f} ± {error:.4f}, {share:+.1f} ± {about:.1f} %"
            yield f"{ours} less {other}: {found}"


def _split(liked: pl.DataFrame, name: str) -> Path:
    """Writes a split of liked pairs, of which the late ones are left out."""
    pairs = liked.unique(["user_id", "item_id"], keep="first", maintain_order=True)
    dense = [
        pairs[column].rank("dense").to_numpy().astype(np.int64) - 1 for column in pairs.columns[:2]
    ]
    late = pairs["late"].to_numpy()
    path = PLACE / f"{name}.npz"
    shape = (int(dense[0].max()) + 1, int(dense[1].max()) + 1)
    train, test = (tuple(ids[rows] for ids in dense) for rows in (~late, late))
    write_split(path, train, test, shape)
    return path


def main(chosen: Sequence[str]) -> None:
    """Does all work, or that whose title holds one of the given words."""
    PLACE.mkdir(parents=True, exist_ok=True)
    console, everything = Console(width=110), {}
    for work in works(splits()):
        if chosen and not any(word in work.title for word in chosen):
            continue
        told = figures(work)
        everything[work.title] = told
        if told:
            console.print(table_of(work, told), "")
        for line in differences(Path(work.arguments[0]), told):
            console.print(line)
    (PLACE / "results.json").write_text(json.dumps(everything, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
