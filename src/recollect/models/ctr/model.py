"""CTR: matrix factorization whose item factors are pulled towards the topics of the items' texts.

Source: Wang, Blei. "Collaborative Topic Modeling for Recommending Scientific Articles." KDD 2011.
Differs: the topics that the first turn starts from are the most likely ones, found by expectation and maximization with the
pseudo-counts of the authors' code, instead of means of a variational distribution; new texts are read in the same way. theta is
solved for exactly, where the paper searches along projected gradients. Of theta, phi and beta there is one update a turn.
By default it learns from ratings, with offsets and a λ that grows with a row's ratings; of an item's offset the topics say 0.
The paper learns from events (`absent_weight=0.01, reg_user=0.01, reg_item=100, factors=200`), the comparison of Kim et al. 2016 from
ratings (`reg_user=100, reg_item=1` for MovieLens 1M), both with `offsets=False, reg_power=0`. An item without a text has the
mean theta of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.errors import SettingError
from recollect.families.text_model import TextModel
from recollect.models.ctr.topics import TopicPrior, Topics


@dataclass(kw_only=True, eq=False)
class CTR(TextModel):
    """U · V, V_j being theta_j, the shares of the topics in text j, and what the ratings add."""

    reg_user: float = 0.52  # lambda_U
    reg_item: float = 0.36  # lambda_V
    reg_power: float = 0.7
    offsets: bool = True
    refine: bool = (
        True  # shares and topics go on learning, from the factors too; False: theta as LDA has it
    )
    passes: int = 100  # over the texts, before the first turn
    smooth: float = (
        1.0  # words of every topic that a text is taken to have besides its own; 0: none
    )

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        if self.passes < 1 or self.smooth < 0:
            raise SettingError(
                f"passes is 1 or more and smooth 0 or more, found {self.passes} and {self.smooth}."
            )

    def network_numbers(self, n_words: int) -> int:
        """See TextModel; each topic's share of each word."""
        return n_words * self.factors

    def encoder(self, corpus: Corpus, k: int) -> Topics:
        """See TextModel."""
        return Topics(corpus.n_words, self.factors, k=k, smooth=self.smooth)

    def prior(self, train: Ratings) -> TopicPrior:
        """See TextModel."""
        assert train.text is not None
        return TopicPrior(
            self.net_.text,
            train.text,
            reg=self.item_reg(train),
            passes=self.passes,
            refine=self.refine,
        )


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "factors": 3,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "epochs": 15,
    "passes": 20,
}
