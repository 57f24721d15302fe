"""Explaining models of texts.

`filters`          the phrases that ConvMF's filters respond to most
`activations`      the filters that respond most to a phrase
`swap_words`       how an activation changes when a word of the phrase is replaced (table 5)
`contributions`    what each phrase of an item's text contributes to a prediction

A phrase is a run of words of a text as the model reads it: without stop words, and without words
outside its vocabulary. The column `answer` of a table is an activation: the value of a filter after
max pooling and ReLU.
"""

from recollect.explain.filter_activations import activations, swap_words
from recollect.explain.filter_phrases import filters
from recollect.explain.text_contributions import Contributions, contributions

__all__ = ["Contributions", "activations", "contributions", "filters", "swap_words"]
