"""Comparing models: which there are, their fits, and what comes of it.

Every fit runs in a process of its own, so that its time and its peak memory are its own. A model
whose fit fails is named with the reason, and the others go on.

Models are compared by one metric: of ratings by the RMSE, of events by the NDCG, or by any other
that is asked for. Wherever lists are judged, popularity is beside the models. A model of events
beside models of ratings learns from all training ratings as events. It has no errors, and its
rankings are judged as those of the others: by the test ratings that are high.
"""
