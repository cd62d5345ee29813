"""What a platform can tell, from what it has kept, of what newcomers changed.

`counted` newcomers' posts among what was shown; `promoted`, a morning's rankings without them;
`chosen`, slots filled from their candidates without them, by a choice model;
`rolled`, each morning's fit without a trace of them; `exposed`, a difference in differences over
exposure; `trials`, comparisons within a trial. All are functions of arrays or frames. How near
each is to the truth is measured by `recsys.checks.proof.estimators` and `recsys.checks.designs`.
"""

from recsys.estimates.chosen import Refilled, Sets, chosen, refilled
from recsys.estimates.counted import change, counted, displaced
from recsys.estimates.exposed import Exposed, by_thirds
from recsys.estimates.promoted import direct_effect, promoted
from recsys.estimates.rolled import roll_forward, without_trace
from recsys.estimates.told import Told, mean_of
from recsys.estimates.trials import between_people, between_periods, needed

__all__ = [
    "Exposed",
    "Refilled",
    "Sets",
    "Told",
    "between_people",
    "between_periods",
    "by_thirds",
    "change",
    "chosen",
    "counted",
    "direct_effect",
    "displaced",
    "mean_of",
    "needed",
    "promoted",
    "refilled",
    "roll_forward",
    "without_trace",
]
