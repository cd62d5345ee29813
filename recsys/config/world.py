"""The synthetic platform as data: who is there, what is posted, how people read, who arrives.

The defaults model RedNote in January 2025. Each has a grade: (A) was read in its source, (B) was
read in a report, (C) is assumed and belongs in a sensitivity analysis.
"""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from recsys.config.base import Part
from recsys.config.size import MOST_GB, MOST_PEOPLE, gigabytes

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, ge=1e-9, le=1e9)]
NonNegative = Annotated[float, Field(ge=0, le=1e9)]
HalfLife = Annotated[float, Field(gt=0, ge=1e-9, le=1e18)]  # in days; 1e18: never
Logit = Annotated[float, Field(ge=-1e9, le=1e9)]
"""Numbers end at a billionth and a billion: beyond, their exponentials and products overflow."""
Mean = Annotated[float, Field(ge=0, le=100)]
"""The mean of a Poisson law; more than 16 posts a day, or first follows, are not made."""
Sigma = Annotated[float, Field(ge=0, le=10)]
"""Of a lognormal law, whose values then differ by a factor of up to 10^30."""
DayNumber = Annotated[int, Field(ge=-10_000, le=10_000)]

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
    """What the people of one cohort like, speak and post: the law from which they are drawn."""

    topics: dict[str, Positive] = Field(min_length=1, max_length=1000)
    """Relative interest in each named topic (C); tastes are Dirichlet around it."""
    language: str
    """Their first language, read perfectly: `zh` or `en`."""
    bilingual: Share
    """Share of people who read the other language well (C)."""
    skill_bilingual: Share
    """Least reading skill of a bilingual person in the other language; the greatest is 1 (C)."""
    skill_others: Share
    """Greatest reading skill of all others in the other language; the least is 0 (C)."""
    formats: tuple[Share, Share, Share] | None = None
    """Shares of short video, long video and image-and-text among their posts (C); null takes the
    platform's shares."""
    product_tags: Share
    """Share of their posts that carry a product tag (C)."""
    outward: tuple[Logit, NonNegative] = (0.0, 0.0)
    """Mean and deviation of the pull, in logits, of posts in a language that is not the app's on
    people who understand them; negative draws are 0, and comprehension multiplies it (C; grid of
    the mean 0 1 2: testimony of students and of people abroad, who came for such posts)."""
    bilingual_posts: Share = 0.0
    """Share of a bilingual creator's posts that are in the other language (C; grid 0 .3 .5: 15 % of
    RedNote's traffic came from abroad before the influx)."""


INCUMBENTS = Cohort(
    topics=INCUMBENT_TOPICS,
    language="zh",
    bilingual=0.15,
    skill_bilingual=0.6,
    skill_others=0.2,
    product_tags=0.12,
    outward=(1.0, 1.5),
    bilingual_posts=0.3,
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
    visits_per_day: Annotated[float, Field(gt=0, ge=1e-9, le=100)] = 0.6
    """Mean visits of a person per day (A). With the spread below, 37 % of people come on a day;
    RedNote's share was 40 % of 300 million."""
    visits_sigma: Sigma = 0.94
    """Sigma of the lognormal spread of visits over people (A: KuaiRand-Pure)."""
    creators: Share = 0.10
    """Share of incumbents who post (C)."""
    follows: Mean = 8.0
    """Mean number of creators an incumbent follows at the start, Poisson (C)."""
    audience_sigma: Sigma = 1.5
    """Sigma of the lognormal spread of creators' attraction to followers (C)."""
    format_pull: NonNegative = 0.5
    """Logits per unit of log(share / even share) of a format on the platform that formed a user
    (C): people like the formats that they are used to."""
    format_scale: NonNegative = 0.5
    """Standard deviation of a user's own format preference, logits (C)."""
    trend: tuple[Logit, NonNegative] = (0.2, 0.3)
    """Mean and deviation of the pull of buzz, logits per log-buzz; negative draws are 0 (C)."""
    commerce: tuple[Logit, NonNegative] = (0.1, 0.3)
    """Mean and deviation of the pull of a product tag, logits (C)."""
    curious: Share = 0.3
    """Share of incumbents who are curious about newcomers' posts (C)."""
    undeclared: Share = 0.4
    """Share of people of whom a platform is told nothing or what is wrong (C). Bilingual people
    declare the language that they read beside that of the app, and others declare none. Of this
    share one half declare none whatever they read, and the other half the opposite of the truth."""


class Posts(Part):
    """What is posted, and for how long it can be served."""

    per_creator_day: Mean = 1.0
    """Mean posts of an incumbent creator per day, Poisson (C). With a tenth of the incumbents
    posting, .1 posts a head and day stand beside some 13 looks a head and day. With much fewer
    posts, people in worlds of a few thousand see all that is posted, whatever the ranking; with
    these, mean and tail of what newcomers take hardly depend on the number of people."""
    window_days: int = Field(default=40, ge=1, le=1000)
    """A post can be served for this many days (C)."""
    quality_scale: NonNegative = 0.5
    """Standard deviation of a post's quality, logits (C)."""
    subtitled: Share = 0.10
    """Share of incumbents' new posts that carry subtitles once creators have adapted (B)."""
    posted_across: Share = 0.05
    """Share of incumbents' new posts that are in the newcomers' language once creators have
    adapted; a creator answers in proportion to the newcomers' clicks on the creator's posts (C: the
    press reports such posts without a rate; grid 0 .02 .05 .10)."""
    adaptation_days: Positive = 2.0
    """Time constant of that adaptation, in days from the influx on (B)."""
    adaptation_audience: Positive = 0.0023
    """Newcomers per incumbent, at the peak, from which on creators adapt in full; with fewer, the
    adaptation is smaller in proportion (B: creators adapted to .7 million beside 300 million)."""


class Actions(Part):
    """Rates of the actions that may follow a click, per click (A: KuaiRand-Pure, unless marked)."""

    like: Share = 0.032
    """The post is liked."""
    save: Share = 0.03
    """(C)"""
    comment: Share = 0.0056
    """On a post in the user's first language."""
    comment_across: Share = 0.025
    """On a post in another language, where people talk, help and practise (B: 2 million comments on
    73 million views of the tag on 14 January, later 5.5 on 250 million)."""
    reply: Share = 0.3
    """That the creator answers a comment on a post in another language than the commenter's (C)."""
    share: Share = 0.0018
    """The post is passed on."""
    follow: Share = 0.0025
    """The creator is followed."""
    hide: Share = 0.0008
    """The post is hidden."""
    product_click: Share = 0.04
    """Per click on a post with a product tag (C)."""
    purchase: Share = 0.004
    """Per click on a post with a product tag (C)."""


class Behaviour(Part):
    """How a user responds to a served post: terms of the click logit, learning and leaving."""

    taste: NonNegative = 4.0
    """Logits per unit of taste for the post's topic (C)."""
    language_penalty: NonNegative = 2.0
    """Logits lost on a post that the user does not understand at all (C; grid .5 1 2 3)."""
    translation: Share = 0.45
    """Comprehension that the translation feature gives (C; grid .3 .45 .6)."""
    translation_day: DayNumber = 6
    """Day of the influx on which translation is switched on (B)."""
    curiosity: NonNegative = 1.0
    """Logits that curious users gain on newcomers' posts on day 0 (C)."""
    curiosity_days: Positive = 4.0
    """Time constant with which curiosity wears off, days (C)."""
    curiosity_social: NonNegative = 0.3
    """Logits that curious users gain, per log(1 + p), where p % of the last part of the day's
    clicks were on newcomers' posts: what others talk about makes curious (C; views of the tag rose
    from 250 million to 2.3 billion in four days)."""
    fatigue: NonNegative = 0.15
    """Logits lost per post of the same topic that the user saw before on the same day (C)."""
    language_learning: Share = 0.004
    """Share of the missing skill in a language that one clicked post in it adds (C)."""
    taste_drift: Share = 0.003
    """Share of the way that a click pulls taste toward the post's topic (A: RecSim; scale C)."""
    satisfaction_memory: Annotated[float, Field(ge=0, lt=1)] = 0.7
    """Weight of a user's past satisfaction in the running mean, at each visit (A: RecSim)."""
    unfamiliarity: NonNegative = 0.05
    """Satisfaction that a visit lacks at first for somebody from another platform (C)."""
    familiar_visits: Positive = 6.0
    """Visits after which unfamiliarity has fallen to 1/e (C)."""
    leaving: Logit = -8.0
    """Logit of leaving on a day at average satisfaction (C)."""
    leaving_slope: NonNegative = 3.0
    """Logits of leaving lost per unit of satisfaction above the average (C)."""
    mood: NonNegative = 1.5
    """Standard deviation of a term that all click logits of a visit share: on some days a user is
    in the mood, on others not. It spreads clicks over visits as unequally as in real logs (C,
    fitted to clicks per visit)."""
    depth_rho: Positive = 0.5
    """Yule–Simon exponent of the scroll depth in rows (A: Jeunen 2023)."""
    actions: Actions = Actions()


class Slots(Part):
    """Share of a feed's slots that each source fills."""

    personal: Share = 0.70
    """Posts ranked for the user."""
    following: Share = 0.10
    """Posts of creators whom the user follows."""
    trending: Share = 0.08
    """Posts of the trending list."""
    fresh: Share = 0.12
    """New posts that few have seen."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.personal + self.following + self.trending + self.fresh
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of slots must sum to 1, not {total:g}")
        return self


class Drive(Part):
    """What makes people click on a platform: factors on three terms of the click logit (C)."""

    interest: NonNegative = 1.0
    """On taste for the post's topic."""
    trend: NonNegative = 1.0
    """On buzz."""
    similarity: NonNegative = 1.0
    """On the product of the latent factors of user and post."""


class Stage(Part):
    """A pool of traffic: a post that has been looked at so often must have earned its clicks."""

    looks: int = Field(ge=1, le=10**9)
    """Looks that the pool gives, such as 200."""
    click_rate: Share
    """Clicks per look below which a post gets no more fresh slots (C)."""


class Platform(Part):
    """Layout, sources and memory of a platform, and what its people are used to."""

    kind: str = "rednote"
    """The preset whose values hold where this part of the config says nothing."""
    columns: int = Field(default=2, ge=1, le=4)
    """Cards side by side; a user examines the feed row by row."""
    examination: NonNegative = 0.4
    """A row that is shown is looked at with probability row^-examination (C). Lists of one column
    have .8 (A: Chaney 2018), which includes users who scroll no further. Here the scroll depth
    covers those, and .8 on top of it would give half the clicks per visit of real logs."""
    click_rate: Annotated[float, Field(gt=0, lt=1)] = 0.086
    """Clicks per impression before the influx, under the house policy (A: KuaiRand-Pure)."""
    visit_ranks: int = Field(default=100, ge=4, le=200)
    """Most ranks that one visit can show."""
    slots: Slots = Slots()
    half_life_days: HalfLife = 2.0
    """Half-life of a post's freshness, days (A/C)."""
    tail: Share = 0.02
    """Freshness that a post keeps until it leaves the feeds (C)."""
    fresh_days: Positive = 2.0
    """Age in days up to which a post can take a fresh slot (C)."""
    trending_size: int = Field(default=100, ge=1, le=1000)
    """Length of the trending list (C)."""
    trending_half_life_days: Positive = 1.0
    """Half-life of a click in the trending list, days (C)."""
    user_prior: Positive = 1.0
    """Clicks that the rate of users with the same app language counts for in a user's click rates
    for a topic and a language (C)."""
    group_prior: Positive = 4.0
    """Clicks that the rate of all users counts for in the click rates of these groups (C)."""
    most_looks: Positive = 100.0
    """Looks, at each topic and at each language, that one user counts for at most in the click
    rates of a group: those of one long visit (C)."""
    post_prior: Positive = 1.0
    """Expected clicks after which a post's own click rate counts for half of what is known of it
    (C)."""
    language_weight: NonNegative = 1.0
    """Weight of a user's click rate for a language in the platform's ranking; 0 for a ranker that
    does not know the language of a post (C)."""
    look_alike: int = Field(default=8, ge=1, le=100)
    """A fresh slot takes, of so many fresh posts that come next, the one whose topic and language
    the user likes best (B: engineers of the platform report a gain of 7 % in clicks); 1 takes the
    first."""
    stages: tuple[Stage, ...] = Field(default=(), max_length=100)
    """Pools of traffic that a new post must pass to go on taking fresh slots; none by default."""
    seen_memory: int = Field(default=1024, ge=64, le=8192)
    """Number of posts, the last ones shown to a user, that are not shown to this user again."""
    per_creator: int = Field(default=2, ge=1, le=200)
    """Most posts of one creator in a feed (C)."""
    drive: Drive = Drive()
    formats: tuple[Share, Share, Share] = (0.30, 0.10, 0.60)
    """Shares of short video, long video and image-and-text among its own people's posts (C)."""


class Influx(Part):
    """Who arrives when, how newcomers post, and who leaves again."""

    kind: str = "custom"
    """The preset whose values hold where this part of the config says nothing."""
    newcomers: int = Field(ge=0, le=MOST_PEOPLE)
    """Number of people who arrive."""
    origin: Platform | None = None
    """The platform that the newcomers come from. They like its formats, react to trends as its
    people do (`drive.trend`), and find another platform unfamiliar. A file can name a preset:
    `from: tiktok`. Null for people to whom this platform is not new."""
    arrivals: tuple[NonNegative, ...] = Field(max_length=1000)
    """Relative number of arrivals on day 0, 1, …"""
    posts_a_head: NonNegative = 1.0
    """Mean posts of a newcomer who stays (C; grid .16 1.0). 114,000 posts with the tag beside
    700,000 joiners say .16, but this counts three days and tagged posts alone."""
    first_day_posts: int = Field(default=3, ge=1, le=15)
    """Newcomers who post make 1 to this many posts on their first day, then one per day (B)."""
    posting_hazard: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Probability, on each day, that a newcomer stops posting for good (B)."""
    straddlers: Share = 0.5
    """Share of newcomers who also stay on the other platform and come on half of the days (C)."""
    reversal_day: int | None = Field(default=8, ge=0, le=10_000)
    """Day on which the ban is put on hold; null for never (B)."""
    reversal_hazard: Share = 0.777
    """Probability that a newcomer who is not a straddler leaves on that day (B)."""
    leaving_hazard: Share = 0.071
    """Probability, on each day after the reversal, that a newcomer leaves (B)."""

    @property
    def posts_of_poster(self) -> float:
        """Mean posts of a newcomer who posts and stays."""
        return (1 + self.first_day_posts) / 2 + 1 / self.posting_hazard - 1

    @property
    def posters(self) -> float:
        """Share of newcomers who post."""
        return self.posts_a_head / self.posts_of_poster

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if sum(self.arrivals) <= 0:
            raise ValueError("arrivals must hold at least one positive number")
        if self.posters > 1:
            raise ValueError(
                f"posts_a_head is {self.posts_a_head:g}, and newcomers who post make "
                f"{self.posts_of_poster:g} posts: raise first_day_posts or lower posting_hazard"
            )
        return self


class World(Part):
    """One synthetic platform and the influx that it meets."""

    incumbents: int = Field(default=5000, ge=1, le=MOST_PEOPLE)
    """Number of people who are there before the influx."""
    influx: Influx
    days_before: int = Field(default=14, ge=1, le=400)
    """Days of the log before the influx."""
    days_after: int = Field(default=14, ge=1, le=400)
    """Days from the first day of the influx on."""
    ticks: int = Field(default=2, ge=1, le=8)
    """Parts of a day; trending lists and buzz are updated after each. With 1 the time of day does
    not matter."""
    home_tick: Share = 0.8
    """Share of visits in a person's own part of the day: the first part for incumbents, the last
    for newcomers (B: "Chinese by day, Americans at night"; the share itself is C)."""
    burn_in_days: int = Field(default=7, ge=1, le=60)
    """Days run before the log begins, in which the house policy learns and the intercept of the
    click logit is set."""
    start: date = Field(default=date(2025, 1, 12), ge=date(1995, 1, 1), le=date(2095, 1, 1))
    """Calendar date of day 0, the first day of the influx."""
    population_seed: int = Field(default=0, ge=0, lt=2**63)
    """Draws the people; the `seeds` of a study draw what happens to them."""
    population: Population = Population()
    posts: Posts = Posts()
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

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        days = self.posts.window_days + self.burn_in_days + self.days_before + self.days_after
        needed = gigabytes(
            {
                "people": self.incumbents + self.influx.newcomers,
                "creators": self.population.creators * self.incumbents,
                "newcomers": self.influx.newcomers,
                "days": days,
                "posts_a_day": self.posts.per_creator_day,
                "posts_a_head": self.influx.posts_a_head,
                "seen_memory": self.platform.seen_memory,
                "factors": self.population.latent_factors,
                "topics": len(self.population.incumbents.topics),
            }
        )
        if needed > MOST_GB:
            raise ValueError(
                f"the world would take about {needed:,.0f} GB, and {MOST_GB:.0f} GB are the most; "
                "lower incumbents, influx.newcomers, posts.per_creator_day, or platform.seen_memory"
            )
        return self
