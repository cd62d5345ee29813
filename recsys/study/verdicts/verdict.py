"""The verdict of a study: `recsys.verdict(result)`."""

from recsys.config import World
from recsys.study.result import StudyResult
from recsys.study.verdicts.log import verdict_of_log
from recsys.study.verdicts.value import Verdict
from recsys.study.verdicts.world import verdict_of_world


def verdict(result: StudyResult) -> Verdict:
    """The answer of a study in three to five sentences, from its tables alone.

    Of a world: did long-time users' feeds change because the newcomers came, by how many of 100
    posts, what as many people like them would have changed, what it cost in clicks, whom it hit,
    which recommender changed least, and how sure that is. Of a log: whether there is evidence that
    the newcomers changed feeds, what was tested, and how much of their activity could be matched.
    `recsys.study.verdicts.world` and `recsys.study.verdicts.log` state every threshold.

    Args:
        result: the result of `recsys.run`.

    Returns:
        The answer, the sentences, the answer of each recommender (best first), and the recommender
        to take.

    Example:
        >>> import recsys
        >>> study = recsys.load_study({"name": "tiny", "world": {"incumbents": 100,
        ...     "days_before": 2, "days_after": 2, "influx": {"kind": "step", "newcomers": 10}},
        ...     "recommenders": ["trending"], "arms": ["control", "influx", "nudge"], "seeds": 1,
        ...     "evaluation": {"days": [1], "k": 5, "panel": 20, "nudges": 1}})
        >>> recsys.verdict(recsys.run(study)).answer
        'not known'
    """
    of_world = isinstance(result.study.source, World)
    return verdict_of_world(result) if of_world else verdict_of_log(result)
