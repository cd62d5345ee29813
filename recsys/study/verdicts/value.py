"""What a verdict holds: the answer, the sentences, and the answer of each recommender."""

from typing import NamedTuple


class Finding(NamedTuple):
    """The answer for one recommender under one mitigation."""

    recommender: str
    """Such as "als"."""
    mitigation: str
    """Such as "cap"; "none" without any."""
    answer: str
    """One of the answers of `recsys.study.verdicts.world` or `.log`, such as "a little"."""

    @property
    def name(self) -> str:
        """The name in sentences.

        >>> Finding("als", "none", "yes").name, Finding("als", "cap", "yes").name
        ('als', 'als with cap')
        """
        if self.mitigation == "none":
            return self.recommender
        return f"{self.recommender} with {self.mitigation}"


class Verdict(NamedTuple):
    """The answer of a study in words; made by `recsys.verdict`."""

    answer: str
    """The answer of the whole study, such as "yes"; `world` and `log` list them."""
    sentences: tuple[str, ...]
    """Three to five sentences for people: no symbol, and no word that has to be learned first."""
    findings: tuple[Finding, ...]
    """The answer of each recommender, best first: the one that changes feeds least."""
    recommended: tuple[str, str] | None = None
    """Recommender and mitigation to take; None where there is no choice, or nothing to choose by.
    """

    @property
    def text(self) -> str:
        """The sentences as one paragraph.

        >>> Verdict("yes", ("Yes.", "Feeds changed."), ()).text
        'Yes. Feeds changed.'
        """
        return " ".join(self.sentences)
