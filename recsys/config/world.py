"""The synthetic platform as data: who is there, what is posted, how people read, who arrives.

The defaults model RedNote in January 2025. A trailing (A) marks a default read in its source,
(B) one read in a report, (C) one that is assumed and belongs into a sensitivity analysis.
"""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from recsys.config.base import Part

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]

INCUMBENT_TOPICS: dict[str, float] = {
    "food": 1.6,
    "fashion": 1.5,
    "beauty": 1.4,
    "travel": 1.4,
    "daily life": 1.3,
    "home": 1.1,
    "study": 1.1,
    "pets": 1.0,
    "parenting": 1.0,
    "fitness": 1.0,
    "film and series": 1.0,
    "photography": 0.9,
    "music": 0.9,
    "games": 0.9,
    "sports": 0.8,
    "career": 0.8,
    "handicraft": 0.7,
    "technology": 0.7,
    "cars": 0.6,
    "books": 0.6,
    "daily vlogs": 0.6,
    "language exchange": 0.3,
    "homework help": 0.2,
    "cat tax": 0.2,
}
NEWCOMER_TOPICS: dict[str, float] = {
    **dict.fromkeys(INCUMBENT_TOPICS, 0.6),
    "cat tax": 3.0,
    "daily vlogs": 2.5,
    "pets": 1.8,
    "language exchange": 1.8,
    "daily life": 1.4,
    "music": 1.2,
    "games": 1.2,
    "homework help": 1.0,
    "parenting": 0.3,
    "career": 0.3,
}


class Cohort(Part):
    """What people of one origin like, speak and post; the law from which a cohort is drawn."""

    topics: dict[str, Positive]
    """Relative interest in each named topic (C); tastes are Dirichlet around it."""
    language: str
    """Their first language, read perfectly: `zh` or `en`."""
    bilingual: Share
    """Share of them who read the other language well (C)."""
    skill_bilingual: Share
    """Least reading skill in the other language among the bilingual; the most is 1 (C)."""
    skill_others: Share
    """Greatest reading skill in the other language among everybody else; the least is 0 (C)."""
    formats: tuple[Share, Share, Share] | None = None
    """Share of short video, long video and image-and-text among what they post (C); null for the
    platform's."""
    product_tags: Share
    """Share of their notes that carry a product tag (C)."""


INCUMBENTS = Cohort(
    topics=INCUMBENT_TOPICS,
    language="zh",
    bilingual=0.15,
    skill_bilingual=0.6,
    skill_others=0.2,
    product_tags=0.12,
)
NEWCOMERS = Cohort(
    topics=NEWCOMER_TOPICS,
    language="en",
    bilingual=0.0,
    skill_bilingual=0.6,
    skill_others=0.05,
    formats=(0.65, 0.05, 0.30),
    product_tags=0.01,
)


class Population(Part):
    """Laws that all people share, and the two cohorts."""

    incumbents: Cohort = INCUMBENTS
    newcomers: Cohort = NEWCOMERS
    taste_concentration: Positive = 10.0
    """Dirichlet concentration of tastes around the cohort's interests (A: Chaney 2018)."""
    latent_factors: int = Field(default=16, ge=0, le=64)
    """Dimensions of the unnamed part of taste (C)."""
    latent_scale: NonNegative = 0.8
    """Standard deviation of the unnamed part of a click logit (C)."""
    visits_per_day: Positive = 0.6
    """Mean visits of a person a day (A); with the spread below, 37 % come on a day, for 40 % of
    300 million."""
    visits_sigma: NonNegative = 0.94
    """Sigma of the lognormal spread of visits over people (A: KuaiRand-Pure)."""
    creators: Share = 0.10
    """Share of incumbents who post (C)."""
    follows: NonNegative = 8.0
    """Mean number of creators an incumbent follows at the start, Poisson (C)."""
    audience_sigma: NonNegative = 1.5
    """Sigma of the lognormal spread of creators' attraction to followers (C)."""
    format_pull: NonNegative = 0.5
    """Logits that a reader gains for a format, per log ratio of its share in the cohort (C)."""
    format_scale: NonNegative = 0.5
    """Standard deviation of a reader's own format preference, logits (C)."""
    trend: tuple[float, NonNegative] = (0.2, 0.3)
    """Mean and deviation of the pull of buzz, logits per log-buzz; negative draws are 0 (C)."""
    commerce: tuple[float, NonNegative] = (0.1, 0.3)
    """Mean and deviation of the pull of a product tag, logits (C)."""
    curious: Share = 0.3
    """Share of incumbents who are curious about newcomers' notes (C)."""


class Notes(Part):
    """What is posted, and for how long it lives."""

    per_creator_day: NonNegative = 0.15
    """Notes that an incumbent creator posts a day, Poisson (C)."""
    window_days: int = Field(default=40, ge=1, le=1000)
    """A note can be served for this many days after it is posted (C)."""
    quality_scale: NonNegative = 0.5
    """Standard deviation of a note's quality, logits (C)."""
    subtitled: Share = 0.10
    """Share of incumbents' new notes that carry subtitles once they have adapted (B)."""
    posted_across: Share = 0.0
    """Share of incumbents' new notes that are posted in the newcomers' language once they have
    adapted (C: the press tells of such posts and gives no rate; grid .02 .05 .10)."""
    adaptation_days: Positive = 2.0
    """Time constant of that adaptation, days after the influx (B)."""
    adaptation_audience: Positive = 0.0023
    """Newcomers per incumbent, at the peak, whom creators answer in full; fewer they answer in part
    (B: .7 of 300 million were answered)."""


class Actions(Part):
    """Rates of what may follow a click, per click (A: KuaiRand-Pure, unless marked)."""

    like: Share = 0.032
    save: Share = 0.03
    """(C)"""
    comment: Share = 0.0056
    """On a note in the reader's first language."""
    comment_across: Share = 0.03
    """On any other: people who cannot follow each other talk, help and practise (C; no source gives
    a rate, only that it was what both sides came for)."""
    share: Share = 0.0018
    follow: Share = 0.0025
    hide: Share = 0.0008
    product_click: Share = 0.04
    """Per click on a note with a product tag (C)."""
    purchase: Share = 0.004
    """Per click on a note with a product tag (C)."""


class Behaviour(Part):
    """How a reader responds to a served note: the terms of the click logit."""

    taste: NonNegative = 4.0
    """Logits per unit of taste for the note's topic (C)."""
    language_penalty: NonNegative = 2.0
    """Logits lost on a note that is not understood at all (C; grid .5 1 2 3)."""
    translation: Share = 0.45
    """Comprehension that the translation feature gives (C; grid .3 .45 .6)."""
    translation_day: int = 6
    """Day of the influx on which translation is switched on (B)."""
    curiosity: NonNegative = 1.0
    """Logits that the curious gain on newcomers' notes on day 0 (C)."""
    curiosity_days: Positive = 4.0
    """Time constant of the wearing-off of curiosity, days (C)."""
    fatigue: NonNegative = 0.15
    """Logits lost per note of the same topic seen on the same day (C)."""
    language_learning: Share = 0.004
    """Part of what is missing in a language that a clicked note in it teaches (C)."""
    taste_drift: Share = 0.003
    """How far a click pulls taste toward the note's topic (A: RecSim; scale C)."""
    satisfaction_memory: Annotated[float, Field(ge=0, lt=1)] = 0.7
    """Weight of the past in a reader's satisfaction, at each visit (A: RecSim)."""
    unfamiliarity: NonNegative = 0.05
    """Satisfaction that a visit lacks while the platform is new to somebody from elsewhere (C)."""
    familiar_visits: Positive = 6.0
    """Visits after which unfamiliarity has fallen to 1/e (C)."""
    leaving: float = -8.0
    """Logit of leaving on a day at average satisfaction (C)."""
    leaving_slope: NonNegative = 3.0
    """Logits of leaving lost per unit of satisfaction above the average (C)."""
    mood: NonNegative = 1.5
    """Standard deviation of what a whole visit's click logits share: some days one is in the mood,
    some not; clicks come in visits more unequal than chance (C, fitted to clicks per visit)."""
    depth_rho: Positive = 0.5
    """Yule–Simon exponent of the scroll depth in rows (A: Jeunen 2023)."""
    actions: Actions = Actions()


class Slots(Part):
    """Share of a feed's slots that each source fills."""

    personal: Share = 0.70
    following: Share = 0.10
    trending: Share = 0.08
    fresh: Share = 0.12

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.personal + self.following + self.trending + self.fresh
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of slots must sum to 1, not {total:g}")
        return self


class Drive(Part):
    """What makes people click on a platform: factors on three terms of the click logit (C)."""

    interest: NonNegative = 1.0
    """On taste for the note's topic."""
    trend: NonNegative = 1.0
    """On buzz."""
    similarity: NonNegative = 1.0
    """On the unnamed likeness of reader and note."""


class Platform(Part):
    """Layout, sources and memory of a platform, and what it trains its people to."""

    kind: str = "rednote"
    """The preset that gives the defaults of what is not said here."""
    columns: int = Field(default=2, ge=1, le=4)
    """Cards side by side: a reader examines row by row."""
    examination: NonNegative = 0.4
    """A row that is shown is looked at with probability row^-examination (C). Lists that are read
    down one column have .8 (A: Chaney 2018), which counts readers who scroll no further; here
    the scroll depth does that, and .8 on top of it gives half the clicks per visit of real logs."""
    click_rate: Annotated[float, Field(gt=0, lt=1)] = 0.086
    """Clicks per impression before the influx, if the house serves (A: KuaiRand-Pure)."""
    visit_ranks: int = Field(default=100, ge=4, le=200)
    """Most ranks that one visit can show."""
    slots: Slots = Slots()
    half_life_days: Positive = 2.0
    """Half-life of a note's freshness (A/C)."""
    tail: Share = 0.02
    """Freshness that a note keeps until it leaves the feeds (C)."""
    fresh_days: Positive = 2.0
    """Age up to which a note is explored in the fresh slots (C)."""
    trending_size: int = Field(default=100, ge=1, le=1000)
    """Length of the trending list (C)."""
    trending_half_life_days: Positive = 1.0
    """Half-life of a click in the trending list (C)."""
    affinity_prior: Positive = 10.0
    """Clicks' worth of the platform's average in a reader's affinities (C)."""
    seen_memory: int = Field(default=1024, ge=64, le=8192)
    """The platform leaves out the last so many notes that it has shown to a reader."""
    per_creator: int = Field(default=2, ge=1, le=200)
    """Most notes of one creator in a feed (C)."""
    drive: Drive = Drive()
    formats: tuple[Share, Share, Share] = (0.30, 0.10, 0.60)
    """Share of short video, long video and image-and-text among what its own people post (C)."""


class Influx(Part):
    """Who arrives when, how they post, and who leaves again."""

    kind: str = "custom"
    """The preset that gives the defaults of what is not said here."""
    newcomers: int = Field(ge=0)
    """How many people arrive in all."""
    origin: Platform | None = None
    """The platform that formed the newcomers: they like its formats, are drawn to trends as it
    trains people to be (`drive.trend`), and find another unfamiliar. In a file also by name:
    `from: tiktok`; null for people to whom this one is nothing new."""
    arrivals: tuple[NonNegative, ...]
    """Relative number of arrivals on day 0, 1, …"""
    posting: Share = 0.30
    """Share of newcomers who post (C)."""
    first_day_notes: int = Field(default=3, ge=1, le=15)
    """They post 1 to this many notes on their first day, then one a day (B)."""
    posting_hazard: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Probability a day that they never post again (B)."""
    straddlers: Share = 0.5
    """Share of newcomers who stay on the other platform too and come on half of the days (C)."""
    reversal_day: int | None = Field(default=8, ge=0)
    """Day on which the ban is put on hold; null for never (B)."""
    reversal_hazard: Share = 0.777
    """Probability that one who is not a straddler leaves on that day (B)."""
    leaving_hazard: Share = 0.071
    """Probability that a newcomer leaves, a day after the reversal (B)."""

    @model_validator(mode="after")
    def _somebody_arrives(self) -> Self:
        if sum(self.arrivals) <= 0:
            raise ValueError("arrivals must hold at least one positive number")
        return self


class World(Part):
    """One synthetic platform and the event that befalls it."""

    incumbents: int = Field(default=5000, ge=1, le=5_000_000)
    """People who are there before the influx."""
    influx: Influx
    days_before: int = Field(default=14, ge=1, le=400)
    days_after: int = Field(default=14, ge=1, le=400)
    ticks: int = Field(default=2, ge=1, le=8)
    """Parts of a day; trending lists and buzz are made anew in each. 1 switches time of day off."""
    home_tick: Share = 0.8
    """Share of visits in a person's own part of the day: the first for incumbents, the last for
    newcomers (B: "Chinese by day, Americans at night"; share C)."""
    burn_in_days: int = Field(default=7, ge=1, le=60)
    """Days run before the log begins: the house policy learns, the click intercept is solved."""
    start: date = date(2025, 1, 12)
    """Calendar date of day 0, the first day of the influx."""
    population_seed: int = Field(default=0, ge=0, lt=2**63)
    """Draws the people; `seeds` of a study draw their luck."""
    population: Population = Population()
    notes: Notes = Notes()
    behaviour: Behaviour = Behaviour()
    platform: Platform = Platform()

    @model_validator(mode="after")
    def _cohorts_share_their_topics(self) -> Self:
        incumbents, newcomers = self.population.incumbents, self.population.newcomers
        if list(incumbents.topics) != list(newcomers.topics):
            raise ValueError("population: both cohorts must name the same topics in the same order")
        for cohort in (incumbents, newcomers):
            if cohort.language not in ("zh", "en"):
                raise ValueError(f"language {cohort.language!r} is not one of zh, en")
        return self
