"""9 · Results as tables, figures and pages, beside the paper's numbers. Reads records only.

verdict          what results say about a claim or a check
tables           an experiment and its results, put together
figures          the figures of an experiment
render           the HTML page, and a Markdown page per experiment
training_curve   the curve of one fit
prequential_curve  the lines of a prequential evaluation
phrases          figures of what a model of texts responds to
"""

from recollect.report.training_curve import check, curve

__all__ = ["check", "curve"]
