"""What each mitigation does, against its formula worked out slowly."""

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import SOURCES
from recsys.measures import calibration_kl
from recsys.mitigations import MITIGATIONS, mitigated
from recsys.mitigations.calibrated import History, _choose
from recsys.mitigations.ensemble import standardised
from recsys.mitigations.factors import Problem, aligned, half_step
from recsys.mitigations.fresh_slot import shown_and_clicked
from recsys.mitigations.offset import offsets
from recsys.mitigations.slots import allowed
from recsys.recommenders import ALS, RECOMMENDERS, ItemKNN, Random, Trending
from recsys.recommenders.als import ALSModel
from recsys.testing.communities import FIRST_NEWCOMER

N_USERS, N_ITEMS = 400, 60
INCUMBENTS = np.arange(FIRST_NEWCOMER)
EVERYBODY = np.arange(N_USERS)


def under(recommender, kind, **options):
    return mitigated(recommender, [MITIGATIONS[kind](**options)])


def small_als():
    return ALS(factors=8, regularization=1.0, frequency=0.5, alpha=10.0)


# The half-step


def slow_half_step(confidence, fixed, penalty, weights, mu, old):
    """Each row's equations, with every pair in them, solved by numpy."""
    dense, rows = confidence.toarray(), []
    ridge = np.broadcast_to(penalty, len(dense))
    for row, own, pull, target in zip(dense, ridge, mu, old, strict=True):
        a, b = (own + pull) * np.eye(fixed.shape[1]), pull * target
        for c, w, x in zip(row, weights, fixed, strict=True):
            a += w * (c if c > 0 else 1) * np.outer(x, x)
            b += w * c * x
        rows.append(np.linalg.solve(a, b))
    return np.array(rows)


def test_the_half_step_is_its_formula():
    rng = np.random.default_rng(1)
    confidence = csr_matrix(np.where(rng.random((30, 50)) < 0.2, 10 * rng.random((30, 50)), 0))
    fixed, old = rng.normal(size=(50, 5)), rng.normal(size=(30, 5))
    weights, mu = rng.random(50), rng.choice([0.0, 3.0, 1e3], 30)
    penalty = rng.random(30)
    got = half_step(confidence, fixed, penalty, weights, mu, old)
    expected = slow_half_step(confidence, fixed, penalty, weights, mu, old)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_a_teacher_without_weight_teaches_nothing():
    rng = np.random.default_rng(2)
    confidence = csr_matrix(np.where(rng.random((30, 50)) < 0.3, 10.0, 0))
    fixed = rng.normal(size=(50, 4))
    weights = np.where(np.arange(50) < 40, 1.0, 0.0)
    got = half_step(confidence, fixed, 1.0, weights)
    without = half_step(csr_matrix(confidence[:, :40]), fixed[:40], 1.0, np.ones(40))
    np.testing.assert_allclose(got, without, rtol=1e-10)


def test_without_a_penalty_open_directions_stay_finite():
    """More factors than users, λ = 0: A is singular, and what is found still solves A y = b."""
    rng = np.random.default_rng(4)
    dense = np.where(rng.random((20, 6)) < 0.5, 10.0, 0)
    fixed = rng.normal(size=(6, 12))
    got = half_step(csr_matrix(dense), fixed, 0.0, np.ones(6))
    assert abs(got).max() < 1e6
    for row, y in zip(dense, got, strict=True):
        a = sum((c if c > 0 else 1) * np.outer(x, x) for c, x in zip(row, fixed, strict=True))
        np.testing.assert_allclose(a @ y, row @ fixed, rtol=1e-4, atol=1e-4)


def test_the_librarys_fit_is_nearly_a_fixed_point(log):
    """implicit ends with an item step by conjugate gradients; ours is exact."""
    als = ALS(factors=8, iterations=30)
    model = als.fit(log)
    problem = Problem.of(als, log, np.ones(model.user_factors.shape[0]))
    again = problem.items(model.user_factors.astype(float))
    assert abs(again - model.item_factors).max() < 0.02 * abs(model.item_factors).max()


# Anchor and frozen


def test_an_endless_pull_gives_the_old_factors(log, before):
    anchor = under(small_als(), "anchor", mu=1e12)
    previous = anchor.fit(before)
    model = anchor.fit(log, previous=previous)
    old, known = aligned(model.by_key[1][0], previous.by_key[1])
    assert known.sum() > 30
    assert not known.all()
    np.testing.assert_allclose(model.by_key[1][1][known], old[known], rtol=1e-5, atol=1e-7)


def test_no_pull_is_the_plain_half_step(log, before):
    als = small_als()
    previous = als.fit(before)
    model = under(als, "anchor", mu=0.0).fit(log, previous=previous)
    plain = als.fit(log, previous=previous)
    problem = Problem.of(als, log, np.ones(plain.user_factors.shape[0]))
    items = problem.items(plain.user_factors.astype(float))
    np.testing.assert_array_equal(model.item_factors, items.astype(np.float32))
    users = problem.users(items)
    np.testing.assert_array_equal(model.user_factors, users.astype(np.float32))


def test_a_stronger_pull_moves_less(log, before):
    previous = small_als().fit(before)
    moved = []
    for mu in (0.0, 10.0, 100.0, 1000.0):
        model = under(small_als(), "anchor", mu=mu).fit(log, previous=previous)
        old, known = aligned(model.by_key[1][0], previous.by_key[1])
        moved.append(np.linalg.norm(model.by_key[1][1][known] - old[known]))
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < moved[0] / 2


def test_frozen_keeps_old_posts_to_the_bit_and_folds_in_the_rest(log, before):
    als = small_als()
    previous = als.fit(before)
    model = under(als, "frozen").fit(log, previous=previous)
    assert isinstance(model, ALSModel)
    old, known = aligned(model.by_key[1][0], previous.by_key[1])
    np.testing.assert_array_equal(model.item_factors[known], old[known].astype(np.float32))
    assert (np.abs(model.item_factors[~known]).sum(axis=1) > 0).all()
    problem = Problem.of(als, log, np.ones(model.user_factors.shape[0]))
    users = problem.users(model.item_factors.astype(float))
    np.testing.assert_allclose(model.user_factors, users, rtol=1e-4, atol=1e-6)


# Downweight and ramp


def without_newcomers(log):
    return log.without_users(log.newcomers)


@pytest.mark.parametrize("recommender", [Trending(), ALS(factors=8)], ids=["trending", "als"])
def test_a_weight_of_0_is_a_log_without_the_newcomers(recommender, log):
    down = under(recommender, "downweight", weight=0.0)
    got = down.fit(log).rank(INCUMBENTS, 20)
    expected = down.fit(without_newcomers(log)).rank(INCUMBENTS, 20)
    np.testing.assert_array_equal(got.item_ids, expected.item_ids)
    np.testing.assert_array_equal(got.scores, expected.scores)


@pytest.mark.parametrize("weight", [0.25, 0.0])
def test_als_weighs_newcomers_rows_in_the_items_equations(log, weight):
    """The library's fit of incumbents, then three sweeps, every pair of them by numpy."""
    got = under(small_als(), "downweight", weight=weight).fit(log, seed=3)
    start = small_als().fit(without_newcomers(log), seed=3)
    hot = log.interactions
    confidence = 10.0 * hot.weights.astype(float)
    weights = np.where(log.newcomers[hot.users], weight, 1.0)
    known = np.isin(hot.item_keys, start.by_key[1][0])
    items = np.zeros((hot.items.size, 8))
    items[known] = start.item_factors

    def step(rows, fixed, weights):
        n, dense = rows.shape[0], rows.toarray()
        penalty = np.sqrt(np.where(dense > 0, dense, 1) @ weights)
        return slow_half_step(rows, fixed, penalty, weights, np.zeros(n), np.zeros((n, 8)))

    ones = got.taught.astype(float)
    users = step(confidence, items, ones)
    for _ in range(3):
        items = step(csr_matrix(confidence.T), users, weights)
        users = step(confidence, items, ones)
    np.testing.assert_allclose(
        got.item_factors[got.taught], items[got.taught], rtol=1e-4, atol=1e-6
    )
    if weight > 0:
        assert got.taught.all()
        np.testing.assert_allclose(got.user_factors, users, rtol=1e-4, atol=1e-6)
    else:
        theirs = log.newcomers[hot.users]
        unknown = ~(hot.weights[~theirs].getnnz(axis=0) > 0)
        np.testing.assert_array_equal(~got.taught, unknown)


def test_newcomers_of_no_weight_are_served_by_als_all_the_same(log):
    model = under(small_als(), "downweight", weight=0.0).fit(log)
    got = model.rank(np.arange(FIRST_NEWCOMER, N_USERS), 5)
    assert (got.item_ids[:, 0] >= 0).mean() > 0.5


@pytest.mark.parametrize("recommender", [Trending(), ALS(factors=8)], ids=["trending", "als"])
def test_a_weight_of_1_is_the_plain_recommender(recommender, log):
    got = under(recommender, "downweight", weight=1.0).fit(log).rank(EVERYBODY, 20)
    expected = recommender.fit(log).rank(EVERYBODY, 20)
    np.testing.assert_array_equal(got.item_ids, expected.item_ids)
    np.testing.assert_array_equal(got.scores, expected.scores)


def test_trending_heeds_a_part_of_newcomers_clicks(log):
    heat = under(Trending(), "downweight", weight=0.25).fit(log).heat
    whole, without = Trending().fit(log).heat, Trending().fit(without_newcomers(log)).heat
    theirs = log.newcomers[log.dense["user"].to_numpy()]
    assert theirs[-50:].any()  # so that both count time from about the same end
    np.testing.assert_allclose(heat, 0.25 * whole + 0.75 * without, rtol=0.01)


@pytest.mark.parametrize("kind", ["trending", "most_popular"])
def test_a_ramp_that_is_over_is_the_plain_recommender(kind, log):
    got = under(RECOMMENDERS[kind](), "ramp", days=0.5).fit(log).rank(EVERYBODY, 20)
    expected = RECOMMENDERS[kind]().fit(log).rank(EVERYBODY, 20)
    np.testing.assert_array_equal(got.item_ids, expected.item_ids)
    np.testing.assert_array_equal(got.scores, expected.scores)


def test_a_ramp_of_als_fits_in_the_same_steps_before_during_and_after(log):
    """Another way of fitting in one arm or on one day would look like drift."""
    assert MITIGATIONS["ramp"](days=0.5).share(log) == 1
    over = under(small_als(), "ramp", days=0.5).fit(log)
    nobody = without_newcomers(log)
    alone = under(small_als(), "ramp").fit(nobody)
    for model, data in ((over, log), (alone, nobody)):
        problem = Problem.of(small_als(), data, np.ones(data.interactions.users.size))
        fit = small_als().fit(without_newcomers(data))
        items, _ = aligned(problem.item_keys, fit.by_key[1])
        users = problem.users(items)
        for _ in range(3):
            items = problem.items(users)
            users = problem.users(items)
        np.testing.assert_array_equal(model.item_factors, items.astype(np.float32))
        np.testing.assert_array_equal(model.user_factors, users.astype(np.float32))


@pytest.mark.parametrize("recommender", [Trending(), ALS(factors=8)], ids=["trending", "als"])
def test_a_ramp_begins_without_newcomers(recommender, log):
    """The first day of newcomers is the third: up to its end they count nothing."""
    ramp = under(recommender, "ramp", days=2.0)
    midnight = log.dense["timestamp"].dt.date()
    days = midnight.unique().sort()
    first = midnight.filter(pl.Series(log.newcomers[log.dense["user"].to_numpy()])).min()
    until = log.only((midnight <= first).to_numpy())
    assert until.newcomers[until.dense["user"].to_numpy()].any()
    got = ramp.fit(until).rank(INCUMBENTS, 20)
    expected = ramp.fit(without_newcomers(until)).rank(INCUMBENTS, 20)
    np.testing.assert_array_equal(got.item_ids, expected.item_ids)
    np.testing.assert_array_equal(got.scores, expected.scores)
    options = MITIGATIONS["ramp"](days=2.0)
    shares = [options.share(log.only((midnight <= day).to_numpy())) for day in days]
    expected_shares = [min(1.0, max(0.0, (day - first).days / 2)) for day in days]
    assert shares == expected_shares
    assert shares[-1] == 1.0


def test_a_ramp_counts_from_when_newcomers_joined(log):
    joined = log.dense["timestamp"].min()
    users = log.users.with_columns(
        joined=pl.when(pl.col("cohort") == "newcomer").then(pl.lit(joined))
    )
    later = InteractionLog(users, log.items, log.dense)
    assert MITIGATIONS["ramp"](days=100.0).share(later) > MITIGATIONS["ramp"](days=100.0).share(log)


def test_a_ramp_needs_times():
    log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]})
    with pytest.raises(LogError, match="ramp: the log has no times"):
        under(Trending(), "ramp").fit(log)


# Cap and language gate


def prefix_counts(has):
    return np.cumsum(has, axis=1)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.29, 0.5, 1.0])
@pytest.mark.parametrize("name", ["random", "trending", "item_knn", "als"])
def test_a_cap_is_never_exceeded_at_any_depth(name, share, log):
    plain = RECOMMENDERS[name](**({"factors": 8} if name == "als" else {}))
    got = under(plain, "cap", share=share).fit(log).rank(INCUMBENTS, 40)
    theirs = (got.item_ids >= 0) & log.from_newcomers[got.item_ids]
    most = np.array([allowed(share, rank) for rank in range(1, 41)])
    assert (prefix_counts(theirs) <= most).all()
    was = plain.fit(log).rank(INCUMBENTS, 40)
    if share == 1.0:
        np.testing.assert_array_equal(got.item_ids, was.item_ids)
    if share == 0.05:
        reached = prefix_counts((was.item_ids >= 0) & log.from_newcomers[was.item_ids])
        assert (reached > most).any()  # the bound had something to do
        assert (got.item_ids[:, :20] >= 0).mean() > 0.9 * (was.item_ids[:, :20] >= 0).mean()


def test_a_cap_keeps_the_order_and_wastes_no_room(log):
    """Greedily by hand: the first of the full ranking that the bound lets in."""
    got = under(Random(), "cap", share=0.25).fit(log).rank(INCUMBENTS, 12)
    full = Random().fit(log).rank(INCUMBENTS, N_ITEMS)
    for row, ranking in enumerate(full.item_ids):
        left, expected, given = [i for i in ranking if i >= 0], [], 0
        for rank in range(1, 13):
            room = given < allowed(0.25, rank)
            item = next((i for i in left if room or not log.from_newcomers[i]), None)
            if item is None:
                break
            given += log.from_newcomers[item]
            left.remove(item)
            expected.append(item)
        expected += [-1] * (12 - len(expected))
        assert got.item_ids[row].tolist() == expected


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_a_gate_is_greedy_for_each_user(log, share):
    """By hand: the first of the full ranking that the bound on this user's posts lets in."""
    got = under(Random(), "language_gate", share=share).fit(log).rank(EVERYBODY, 12)
    full = Random().fit(log).rank(EVERYBODY, N_ITEMS)
    own, written = log.users["language"].to_numpy(), log.items["language"].to_numpy()
    also = log.users["declared_language"].to_numpy()
    for user, ranking in enumerate(full.item_ids):
        held_back = (written != own[user]) & (written != also[user])
        left, expected, given = [i for i in ranking if i >= 0], [], 0
        for rank in range(1, 13):
            room = given < allowed(share, rank)
            item = next((i for i in left if room or not held_back[i]), None)
            if item is None:
                break
            given += held_back[item]
            left.remove(item)
            expected.append(item)
        assert got.item_ids[user].tolist() == expected + [-1] * (12 - len(expected))


def test_newcomers_own_feeds_are_capped_only_if_asked_for(log):
    theirs = np.arange(FIRST_NEWCOMER, N_USERS)
    plain = ItemKNN().fit(log).rank(theirs, 10).item_ids
    got = under(ItemKNN(), "cap", share=0.0).fit(log).rank(theirs, 10).item_ids
    np.testing.assert_array_equal(got, plain)
    all_capped = under(ItemKNN(), "cap", share=0.0, everybody=True).fit(log).rank(theirs, 10)
    assert not log.from_newcomers[all_capped.item_ids[all_capped.item_ids >= 0]].any()


def test_a_gate_holds_back_what_is_not_read(log):
    got = under(Random(), "language_gate", share=0.1).fit(log).rank(EVERYBODY, 20)
    own, also = (log.users[name].to_numpy() for name in ("language", "declared_language"))
    speaks = also == np.where(own == "zh", "en", "zh")
    written = log.items["language"].to_numpy()[got.item_ids]
    foreign = (own[:, None] != written) & (got.item_ids >= 0)
    assert (foreign[~speaks].sum(axis=1) <= 2).all()
    assert foreign[speaks].sum(axis=1).max() > 5
    unknown = under(Random(), "language_gate", share=0.0).fit(log).rank(np.array([-1]), 40)
    assert set(log.items["language"].gather(unknown.item_ids[0])) == {"en", "zh"}


# Offset


def test_offsets_are_log_ratios(log):
    liked = log.events.filter(pl.col("weight") > 0).join(
        log.users.select("user_id", "cohort"), on="user_id"
    )
    got, total = offsets(log, 5.0), liked["weight"].sum()
    for place, cohort in enumerate(("incumbent", "newcomer")):
        theirs = liked.filter(pl.col("cohort") == cohort)
        share = theirs["weight"].sum() / total
        for item in range(N_ITEMS):
            own = theirs.filter(pl.col("item_id") == item)["weight"].sum()
            every = liked.filter(pl.col("item_id") == item)["weight"].sum()
            expected = np.log((own + 5) / (every * share + 5))
            assert got[place, item] == pytest.approx(expected, abs=1e-12)


def test_an_offset_moves_scores_by_cohort(log):
    plain, model = ItemKNN().fit(log), under(ItemKNN(), "offset", strength=2.0).fit(log)
    items = plain.scorable
    users = np.resize(np.array([100, 350, 101]), 256)
    before, after = plain.score(users, items), model.score(users, items)
    finite = np.isfinite(before)
    np.testing.assert_array_equal(np.isfinite(after), finite)
    bias = offsets(log, 5.0)[:, items]
    for row, cohort in enumerate((0, 1, 0)):
        known = finite[row]
        moved = after[row, known] - before[row, known]
        expected = 2.0 * before[row, known].std() * bias[cohort, known]
        np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-12)
    unmoved = under(ItemKNN(), "offset", strength=0.0).fit(log).rank(EVERYBODY, 20)
    np.testing.assert_array_equal(unmoved.item_ids, plain.rank(EVERYBODY, 20).item_ids)


def test_one_cohort_has_nothing_to_correct(log):
    alone = without_newcomers(log)
    assert abs(offsets(alone, 5.0)).max() < 1e-12


# Ensemble


def test_an_ensemble_is_the_mean_of_its_members(log):
    model = under(small_als(), "ensemble", seeds=3).fit(log, seed=4)
    assert len({member.user_factors.tobytes() for member in model.members}) == 3
    plain = small_als().fit(log, seed=4)
    np.testing.assert_array_equal(model.members[0].user_factors, plain.user_factors)
    users, items = np.resize(np.arange(20, 60), 256), model.scorable
    each = [standardised(m.score(users, items).astype(float)) for m in model.members]
    np.testing.assert_allclose(model.score(users, items), np.mean(each, axis=0), atol=1e-12)


@pytest.mark.parametrize("of", ["scores", "ranks"])
def test_an_ensemble_is_surer_than_its_members(log, of):
    def changed(recommender):
        one, other = (
            recommender.fit(log, seed).rank(EVERYBODY[5:], 10).item_ids for seed in (0, 1)
        )
        return np.mean([len(set(a) - set(b)) for a, b in zip(one, other, strict=True)])

    assert changed(under(small_als(), "ensemble", seeds=8, of=of)) < 0.7 * changed(small_als())


# Calibrated


def slow_choice(scores, bins, p, strength, alpha, k):
    """Steck's greedy choice, with the divergence of each candidate feed worked out whole."""
    scores = (scores - scores.min()) / (scores.max() - scores.min())
    feed = []
    for _ in range(k):
        values = []
        for item in range(scores.size):
            if item in feed:
                values.append(-np.inf)
                continue
            q = np.bincount(bins[[*feed, item]], minlength=p.size) / (len(feed) + 1)
            mixed, has = (1 - alpha) * q + alpha * p, p > 0
            kl = (p[has] * np.log(p[has] / mixed[has])).sum()
            values.append((1 - strength) * scores[item] - strength * kl)
        feed.append(int(np.argmax(np.round(values, 12))))
    return feed


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.9, 1.0])
def test_the_greedy_choice_is_stecks(strength):
    rng = np.random.default_rng(3)
    for _ in range(20):
        scores = np.sort(rng.random(25))[::-1]
        bins, p = rng.integers(0, 5, 25), rng.dirichlet(np.ones(5)) * (rng.random(5) < 0.8)
        if p.sum() == 0:
            continue
        p = p / p.sum()
        places = np.full((1, 10), -1)
        ids = np.arange(25, dtype=np.int32)[None]
        _choose(ids, scores[None], bins[None].astype(np.int64), p[None], strength, 0.01, places)
        assert places[0].tolist() == slow_choice(scores, bins, p, strength, 0.01, 10)


def divergences(log, target, ids):
    codes, labels = log.item_codes("language", "topic")
    rows = [np.bincount(codes[feed[feed >= 0]], minlength=len(labels)) for feed in ids]
    q = np.array([row / max(row.sum(), 1) for row in rows])
    return calibration_kl(target, q)


def test_calibration_lowers_the_divergence_from_the_history(log, before):
    history = History.of(before, ("language", "topic"), 1)
    _, labels = log.item_codes("language", "topic")
    target = history.mix(log.users["key"].to_numpy()[10:200], labels)
    known = target.sum(axis=1) > 0
    users, means = np.arange(10, 200)[known], []
    for strength in (0.0, 0.5, 0.9):
        recommender = under(ItemKNN(), "calibrated", strength=strength, history_days=1)
        ids = recommender.fit(log, previous=recommender.fit(before)).rank(users, 10).item_ids
        means.append(divergences(log, target[known], ids).mean())
        if strength == 0:
            np.testing.assert_array_equal(ids, ItemKNN().fit(log).rank(users, 10).item_ids)
    assert means[0] > means[1] > means[2]


def test_the_history_ends_when_newcomers_come_and_is_passed_on(log, before):
    attributes = ("language", "topic")
    first = log.dense.filter(pl.Series(log.newcomers[log.dense["user"].to_numpy()]))["timestamp"]
    until = log.only((log.dense["timestamp"] < first.min()).to_numpy())
    assert (
        History.of(log, attributes, 1).counts != History.of(until, attributes, 1).counts
    ).nnz == 0
    kept = under(ItemKNN(), "calibrated", history_days=2)
    models = [kept.fit(before)]
    models.append(kept.fit(log, previous=models[0]))
    assert models[1].history is models[0].history
    short = under(ItemKNN(), "calibrated", history_days=30)
    anew = short.fit(log, previous=short.fit(before))
    assert not anew.history.kept


def test_who_has_no_history_is_served_as_without(log, before):
    recommender = under(ItemKNN(), "calibrated", strength=1.0, history_days=1)
    newcomers = np.arange(FIRST_NEWCOMER, N_USERS)
    got = recommender.fit(log, previous=recommender.fit(before)).rank(newcomers, 10)
    np.testing.assert_array_equal(got.item_ids, ItemKNN().fit(log).rank(newcomers, 10).item_ids)


# Fresh slot

FRESH = list(SOURCES.categories).index("fresh")


def test_shown_and_clicked_count_users():
    log = InteractionLog.from_frames(
        {
            "user_id": [1, 1, 2, 3, 3],
            "item_id": [7, 7, 7, 7, 8],
            "kind": ["impression", "click", "impression", "like", "hide"],
        }
    )
    shown, clicked = shown_and_clicked(log)
    assert shown.tolist() == [3, 1]
    assert clicked.tolist() == [2, 0]


def test_the_slot_holds_a_post_that_few_have_seen(log):
    model = under(ItemKNN(), "fresh_slot", slot=3, graduate=60).fit(log)
    plain, got = ItemKNN().fit(log).rank(EVERYBODY, 10), model.rank(EVERYBODY, 10)
    served = plain.item_ids[:, 0] >= 0
    fresh = got.sources == FRESH
    assert (fresh.sum(axis=1)[served] <= 1).all()
    shown, _ = shown_and_clicked(log)
    assert (shown[got.item_ids[fresh]] < 60).all()
    deep = served & (plain.item_ids[:, 2] >= 0) & fresh.any(axis=1)
    assert deep.mean() > 0.5
    assert fresh[deep][:, 2].all()
    np.testing.assert_array_equal(got.item_ids[deep][:, :2], plain.item_ids[deep][:, :2])
    for after, before_ in zip(got.item_ids[deep], plain.item_ids[deep], strict=True):
        left = [item for item in before_[2:] if item != after[2]][:7]
        assert after[3:].tolist() == left
    assert np.unique(got.item_ids[fresh]).size > 5
    none_left = under(ItemKNN(), "fresh_slot", slot=3, graduate=1).fit(log)
    everything_seen = none_left.rank(EVERYBODY, 10)
    assert not (everything_seen.sources == FRESH).any()


def test_the_slot_is_thompsons(log):
    """By hand: of the posts that are neither seen nor above the slot, the one drawn highest."""
    model = under(ItemKNN(), "fresh_slot", slot=3, graduate=60).fit(log)
    plain, got = ItemKNN().fit(log).rank(EVERYBODY, 10), model.rank(EVERYBODY, 10)
    seen = log.withheld.toarray()
    rates = model._rates(np.arange(N_ITEMS, dtype=np.int32))
    draws = model._samples(EVERYBODY)
    assert np.unique(draws).size == 32
    young = (model.shown < 60) & (log.interactions.weights.getnnz(axis=0) > 0)[
        np.argsort(log.interactions.items)
    ]
    checked = 0
    for user in np.flatnonzero(plain.item_ids[:, 2] >= 0):
        free = young & ~seen[user]
        free[plain.item_ids[user, :2]] = False
        if not free.any():
            assert not (got.sources[user] == FRESH).any()
            continue
        best = np.argmax(np.where(free, rates[draws[user]], -1))
        assert got.item_ids[user, 2] == best
        checked += 1
    assert checked > 200


def test_draws_follow_the_posterior(log):
    """32 draws a post of a Beta: their mean within 5 standard errors, both sides."""
    model = under(ItemKNN(), "fresh_slot", samples=1024).fit(log)
    posts = np.arange(10, dtype=np.int32)
    rates = model._rates(posts)
    a, b = 1.0 + model.clicked[posts], 9.0 + (model.shown - model.clicked)[posts]
    mean, sd = a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)
    assert rates.shape == (1024, 10)
    assert (abs(rates.mean(axis=0) - mean) < 5 * sd / np.sqrt(1024)).all()
    # the sd of a standard deviation is about sd/√(2n)
    assert (abs(rates.std(axis=0) - sd) < 5 * sd / np.sqrt(2 * 1024) + 0.02 * sd).all()
    assert (model._rates(posts[3:5]) == rates[:, 3:5]).all()  # addressed: whoever else is there


# Warm start


def test_warm_start_goes_on_or_never(log, before):
    previous = small_als().fit(before)
    cold, warm = small_als().fit(log), small_als().fit(log, previous=previous)
    assert (cold.user_factors != warm.user_factors).any()
    on = under(small_als(), "warm_start").fit(log, previous=previous)
    off = under(small_als(), "warm_start", enabled=False).fit(log, previous=previous)
    np.testing.assert_array_equal(on.user_factors, warm.user_factors)
    np.testing.assert_array_equal(off.user_factors, cold.user_factors)
