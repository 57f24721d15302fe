"""CTR: matrix factorization with item factors drawn towards the topics of their texts.

Source: Wang, Blei. "Collaborative Topic Modeling for Recommending Scientific Articles." KDD 2011.

Differs: the topics before the first turn are maximum a posteriori estimates, found by expectation
maximization with the pseudo-counts of the authors' code, instead of means of a variational
distribution; the θ of new texts is found in the same way. θ is solved for exactly, where the paper
searches along projected gradients. θ, φ and β are updated once a turn. By default it learns from
ratings, with offsets and a λ that grows with a row's ratings; the prior mean of an item's offset is
0. The paper learns from events (`absent_weight=0.01, reg_user=0.01, reg_item=100, factors=200`),
the comparison of Kim et al. 2016 from ratings (`reg_user=100, reg_item=1` for MovieLens 1M), both
with `offsets=False, reg_power=0`. The prior mean of an item without a text is the mean θ.
"""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.families.text_model import TextModel
from recollect.models.ctr.topics import TopicPrior, Topics
from recollect.settings import setting


@dataclass(kw_only=True, eq=False)
class CTR(TextModel):
    """U_u · V_i, V_i ~ N(θ_i, 1/λ_v), where θ_i are the topic proportions of text i."""

    reg_user: float = 0.52  # lambda_U
    reg_item: float = 0.36  # lambda_V
    reg_power: float = 0.7
    offsets: bool = True
    refine: bool = True  # theta and topics go on learning with the factors; False: fixed after LDA
    passes: int = setting(100, at_least=1)  # over the texts, before the first turn
    smooth: float = setting(1.0, at_least=0)  # pseudo-count of each topic in each text

    @override
    def network_numbers(self, n_words: int) -> int:
        return n_words * self.factors

    @override
    def encoder(self, corpus: Corpus, k: int) -> Topics:
        # θ has k numbers as the factors do, of which an offset is not a topic.
        n_topics = self.factors
        return Topics(corpus.n_words, n_topics, k=k, smooth=self.smooth)

    @override
    def prior(self, train: Ratings) -> TopicPrior:
        assert train.text is not None
        reg = self.item_reg(train)

        return TopicPrior(
            self.net_.text,
            train.text,
            reg=reg,
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
