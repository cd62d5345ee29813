"""What the columns of a log's files may mean, as lines of a config to paste.

Names and values are read: a column whose values are `view`, `buy` and `unlike` says what kind of
event a row is, a column `quantity` how many of an item it is about. Nothing is trained.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import polars as pl

from recsys.core.errors import LogError
from recsys.logs.columns import TEXT
from recsys.logs.conditions import holds, quoted
from recsys.logs.entities import with_times
from recsys.logs.read import is_of_users
from recsys.logs.schema import WEIGHTS
from recsys.measures.rows import is_taken

_KINDS: dict[str, tuple[str, ...]] = {
    "hide": ("hide", "dislike", "hate", "notinterested", "downvote", "block", "report"),
    "purchase": ("purchase", "buy", "bought", "order", "transaction", "sale", "checkout"),
    "follow": ("follow", "subscribe"),
    "share": ("share", "forward", "repost", "retweet"),
    "comment": ("comment", "reply", "review"),
    "save": ("save", "bookmark", "favorite", "favourite", "collect", "wishlist"),
    "like": ("like", "upvote", "thumbsup", "heart"),
    "product_click": ("productclick", "addtocart", "cart", "addcart"),
    "click": ("click", "open", "watch", "play", "read", "listen", "download"),
    "impression": ("impression", "view", "show", "shown", "see", "exposure", "expose", "display"),
}
"""Words for each kind of event, the strongest first: the first condition that holds decides."""
_TAKEN_BACK: dict[str, tuple[str, ...]] = {
    "purchase": ("return", "returned", "refund", "cancel", "cancelled", "canceled", "unbuy"),
    "follow": ("unfollow", "unsubscribe"),
    "save": ("unsave", "uncollect", "unfavorite", "unfavourite", "removefromwishlist"),
    "like": ("unlike",),
    "product_click": ("removefromcart",),
}
"""Words for rows that take back an event of each kind."""
_COUNTS = ("quantity", "qty", "count", "units", "pieces")
_PUBLISHED = (
    *("published", "publishedat", "publishdate", "publishtime", "pubdate", "posted", "postedat"),
    *("created", "createdat", "createddate", "creationdate", "uploaded", "uploadedat"),
    *("uploaddate", "releasedate", "timestamp"),
)
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "topic": ("topic", "category", "genre", "section", "maintag"),
    "language": ("language", "lang", "locale"),
    "format": ("format", "mediatype", "contenttype", "posttype"),
}
"""Names of columns that hold the attributes that a feed's mix is measured over."""
_MOST_KINDS, _MOST_VALUES, _MOST_ATTRIBUTES = 20, 60, 4
_Conditions = dict[str, str]
"""SQL condition by kind of event."""
_OF_READ = ("user_id", "item_id", "timestamp", "kind", "rank", "weight", "count", "cancels")


@dataclass(frozen=True)
class Suggestion:
    """Lines of a config that the columns suggest.

    Attributes:
        columns: the files' name of a column by ours, beyond those that are known.
        kinds: SQL condition by kind of event, the strongest kind first.
        weights: weight by kind, where the default would count nothing.
        cancels: SQL condition by the kind of event that is taken back.
        attributes: column of the items by attribute.
        of_users: columns of events with one value for each user, which may say who is new.
        reasons: a sentence on each of them.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    cancels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    of_users: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def suggestion_of(
    events: pl.DataFrame,
    users: pl.DataFrame | None = None,
    items: pl.DataFrame | None = None,
    timezone: str = "UTC",
) -> Suggestion:
    """What the columns of a log's files may mean.

    Args:
        events: user_id, item_id and more.
        users: user_id and more; None if there is no such table.
        items: item_id and more; None if there is no such table.
        timezone: zone of times without one.

    >>> events = pl.DataFrame({"user_id": [1, 2, 2], "item_id": [7, 7, 7],
    ...     "what": ["view", "buy", "refund"], "quantity": [1, 3, 2]})
    >>> found = suggestion_of(events)
    >>> found.kinds, found.weights
    ({'purchase': "what = 'buy'", 'click': "what = 'view'"}, {'purchase': 1})
    >>> found.cancels, found.columns
    ({'purchase': "what = 'refund'"}, {'count': 'quantity'})
    """
    reasons: list[str] = []
    columns: dict[str, str] = {}
    kinds, cancels = _kinds(events)
    count = _count(events)
    if count is not None:
        below, taken = _below_0(events, count, kinds, cancels)
        if taken or not below:
            reasons.append(
                f"{count}: how many of an item a row is about, so that rows alike but for it "
                "are no duplicates, and a return takes back as many as it says."
            )
            columns |= {"count": count} if count != "count" else {}
            cancels = _also(cancels, taken)
        if taken and not (kinds or {"kind", "weight"} & set(events.columns)):
            kinds = {"purchase": "true"}
        if below:
            what = f"they take a {' or '.join(taken)} back"
            none = f"no row is a like that they could take back, so {count} is not read"
            reasons.append(f"{below:,} rows have {count} below 0: {what if taken else none}.")
    if kinds:
        reasons.append(f"Kinds of events: {', '.join(kinds)}; all other rows are impressions.")
    weights = _weights(events, kinds)
    if weights:
        names = " and ".join(weights)
        reasons.append(f"{names}: 0 by default (seen, not liked), so a weight is given.")
    published = None if items is None else _published(items, timezone)
    if published is not None and published != "published":
        columns["published"] = published
    if published is not None:
        reasons.append(
            f"{published}: when items were published, so that als, item_knn and others rank those "
            "of the last five days first (candidate_days: null if yours do not age)."
        )
    of_users = tuple(_of_users(events, users))
    if of_users:
        reasons.append(f"One value for each user in the events: {', '.join(of_users)}.")
    attributes = {} if items is None else _attributes(items)
    return Suggestion(columns, kinds, weights, cancels, attributes, of_users, tuple(reasons))


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


def _word(value: str, words: Mapping[str, tuple[str, ...]]) -> str | None:
    """The kind that a value or a column's name is a word for; is_like, liked and likes are like."""
    plain = _plain(value).removeprefix("is")
    forms = (plain, plain.removesuffix("s"), plain.removesuffix("ed"), plain.removesuffix("d"))
    return next((kind for kind, known in words.items() if set(forms) & set(known)), None)


def _kinds(events: pl.DataFrame) -> tuple[_Conditions, _Conditions]:
    """Conditions by kind of event, and by kind that is taken back; from values, or from flags."""
    by_values = list(_by_values(events))
    for unknown, kinds, back in by_values:
        if not unknown:
            return kinds, back
    if "weight" in events.columns:
        return {}, {}
    flags = {} if "kind" in events.columns else _by_kind(list(_flags(events)), _KINDS)
    flags.pop("impression", None)
    if flags:
        return {
            kind: " or ".join(_set(events, name) for name in names) for kind, names in flags.items()
        }, {}
    return next(((kinds, back) for _, kinds, back in by_values), ({}, {}))


def _by_values(events: pl.DataFrame) -> Iterator[tuple[int, _Conditions, _Conditions]]:
    """For each column of texts that may be kinds: values that are not known, and the conditions."""
    for name, column in events.schema.items():
        if column not in TEXT or name in ("user_id", "item_id", "timestamp", "cancels"):
            continue
        values = events[name].drop_nulls().cast(pl.String).unique().sort().to_list()
        if not 2 <= len(values) <= _MOST_KINDS:
            continue
        kinds = _by_kind(values, _KINDS)
        back = _by_kind([value for value in values if _word(value, _KINDS) is None], _TAKEN_BACK)
        if len(kinds) + len(back) < 2:
            continue
        known = sum(map(len, [*kinds.values(), *back.values()]))
        if "impression" in kinds and "click" not in kinds:
            kinds["click"] = kinds.pop("impression")  # nothing weaker is logged: to view is to open
        kinds.pop("impression", None)
        if name == "kind" and all(value in WEIGHTS for value in values):
            kinds = {}  # read as it is
        yield (
            len(values) - known,
            {kind: _condition(name, some) for kind, some in kinds.items()},
            {kind: _condition(name, some) for kind, some in back.items()},
        )


def _by_kind(
    names: pl.Series | list[str], words: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    found = {kind: [name for name in names if _word(name, words) == kind] for kind in words}
    return {kind: some for kind, some in found.items() if some}


def _condition(name: str, values: list[str]) -> str:
    column, texts = quoted(name), ["'{}'".format(value.replace("'", "''")) for value in values]
    return f"{column} = {texts[0]}" if len(texts) == 1 else f"{column} in ({', '.join(texts)})"


def _flags(events: pl.DataFrame) -> Iterator[str]:
    """Columns of events that are true or false."""
    for name, kind in events.schema.items():
        if kind == pl.Boolean:
            yield name
        elif kind.is_integer() and name not in _OF_READ:
            low, high = events[name].min(), events[name].max()
            if (low, high) == (0, 1):
                yield name


def _set(events: pl.DataFrame, name: str) -> str:
    return quoted(name) if events.schema[name] == pl.Boolean else f"{quoted(name)} = 1"


def _count(events: pl.DataFrame) -> str | None:
    for name, kind in events.schema.items():
        if (
            _plain(name) in _COUNTS
            and kind.is_numeric()
            and events[name].drop_nulls().n_unique() > 1
        ):
            return name
    return None


def _below_0(
    events: pl.DataFrame, count: str, kinds: _Conditions, cancels: _Conditions
) -> tuple[int, _Conditions]:
    """Rows of a count below 0 that no condition takes for a return yet, and conditions that do.

    A row of a kind that is liked takes back one of its own kind, any other row a purchase, or the
    strongest kind that is liked where there are no purchases. What is hidden or only seen is never
    taken back.

    Returns:
        Their number; and a condition by kind that is taken back, none where nothing is liked.
    """
    rows = events.filter(pl.col(count) < 0)
    for condition in cancels.values():
        rows = rows.filter(~holds(rows, condition, "cancels").fill_null(False))
    by_kind = kinds or {kind: _condition("kind", [kind]) for kind in _present(events, kinds)}
    if "weight" in events.columns:
        liked = [kind for kind in by_kind if kind not in ("hide", "impression")]
    else:
        weights = _weights(events, kinds)
        liked = [kind for kind in by_kind if weights.get(kind, WEIGHTS[kind]) > 0]
    if not by_kind:
        liked = ["click" if "weight" in events.columns else "purchase"]
    if rows.is_empty() or not liked:
        return rows.height, {}
    main = "purchase" if "purchase" in liked else liked[0]
    taken, open_rows, of_main = {}, rows, 0
    for kind, condition in by_kind.items():
        met = holds(open_rows, condition, "kinds").fill_null(False)
        if kind not in liked or kind == main:
            of_main += int(met.sum())
        elif met.any():
            taken[kind] = f"count < 0 and ({condition})"
        open_rows = open_rows.filter(~met)
    return rows.height, {**taken, main: "count < 0"} if of_main or open_rows.height else taken


def _also(cancels: _Conditions, taken: _Conditions) -> _Conditions:
    """Both, by kind; the last of `taken`, which may hold for any row, comes last."""
    both = {kind: condition for kind, condition in cancels.items() if kind not in taken}
    for kind, condition in taken.items():
        both[kind] = f"{cancels[kind]} or {condition}" if kind in cancels else condition
    return both


def _present(events: pl.DataFrame, kinds: Mapping[str, str]) -> list[str]:
    """Kinds of events that the log has, the strongest first."""
    if kinds or "kind" not in events.columns:
        return list(kinds)
    values = events["kind"].cast(pl.String).unique().to_list()
    return [kind for kind in _KINDS if kind in values]


def _weights(events: pl.DataFrame, kinds: Mapping[str, str]) -> dict[str, float]:
    """Weight 1 for a purchase, and for other kinds of weight 0 where nothing else counts.

    None where each row has a weight of its own.
    """
    if "weight" in events.columns:
        return {}
    present = _present(events, kinds)
    if "purchase" in present:
        return {"purchase": 1}
    counts = any(WEIGHTS[kind] > 0 for kind in present)
    return {"product_click": 1} if "product_click" in present and not counts else {}


def _published(items: pl.DataFrame, timezone: str) -> str | None:
    """The column of items that says when each was published, if all of it can be read."""
    for name, kind in items.schema.items():
        if _plain(name) not in _PUBLISHED or not (kind in TEXT or kind.is_temporal()):
            continue
        try:
            read = with_times(items.select(published=name), "items", timezone)["published"]
        except LogError:
            continue
        if read.dtype.is_temporal() and read.null_count() < len(read):
            return name
    return None


def _of_users(events: pl.DataFrame, users: pl.DataFrame | None) -> Iterator[str]:
    """Columns of events that hold one value for each user, where users come more than once."""
    if events["user_id"].n_unique() > events.height / 2:
        return
    known = () if users is None else users.columns
    for name, kind in events.schema.items():
        plain = kind in TEXT or kind == pl.Boolean or kind.is_numeric() or kind == pl.Date
        if not plain or name in (*_OF_READ, *known, "key", "cohort") or _plain(name) in _COUNTS:
            continue
        if events[name].drop_nulls().n_unique() > 1 and is_of_users(events, name, needed=False):
            yield name


def _attributes(items: pl.DataFrame) -> dict[str, str]:
    """Columns of items by attribute: those of known names first, then others of few values."""
    few = [name for name in items.columns if _may_be_attribute(items, name)]
    by_name = {
        ours: name
        for ours, words in _ATTRIBUTES.items()
        for name in reversed(few)
        if _plain(name) in words
    }
    others = {name: name for name in few if name.isidentifier() and name not in by_name.values()}
    found = {name: column for name, column in others.items() if name not in by_name}
    free = ((name, column) for name, column in {**by_name, **found}.items() if not is_taken(name))
    return dict(islice(free, _MOST_ATTRIBUTES))


def _may_be_attribute(items: pl.DataFrame, name: str) -> bool:
    kind = items.schema[name]
    if name in ("item_id", "creator_id", "published", "key") or not (
        kind in TEXT or kind == pl.Boolean
    ):
        return False
    return 2 <= items[name].drop_nulls().n_unique() <= min(_MOST_VALUES, items.height / 3)
