"""7 · Results as tables, pictures and pages, the paper's numbers beside ours. Reads results only.

verdict    what a result says about a claim
sheets     an experiment and its results, put together
pictures   a training curve; the figures of an experiment
pages      the HTML page, and a Markdown page per experiment
"""

from recollect.report.pictures import check, curve

__all__ = ["check", "curve"]
