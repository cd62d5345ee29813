"""Values that threads share: made once, and only so many kept."""

from concurrent.futures import ThreadPoolExecutor

from recsys.core.kept import Kept


def test_a_value_is_made_once_whoever_asks():
    made = []
    kept = Kept()

    def make():
        made.append(object())
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: kept("seed", make), range(100)))
    assert len(made) == 1
    assert all(value is made[0] for value in values)


def test_beyond_its_number_the_one_that_was_made_first_is_forgotten():
    made = []
    kept = Kept(2)
    for key in (1, 2, 1, 3, 2, 1):
        kept(key, lambda key=key: made.append(key))
    assert made == [1, 2, 3, 1]


def test_without_a_number_all_are_kept():
    made = []
    kept = Kept()
    for key in (1, 2, 3, 1, 2, 3):
        kept(key, lambda key=key: made.append(key))
    assert made == [1, 2, 3]
