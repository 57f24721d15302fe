"""The metric of a part: an error of predicted ratings, or a figure of ranked lists.

"ndcg@10" is a metric of lists with its cutoff, the length of the list that counts. Of an error less
is better, of a figure of lists more.
"""

from __future__ import annotations

from recollect.errors import SettingError, unknown
from recollect.evaluation.metrics import METRICS, metrics_of, rating_figures

# Every record of events has the figures at these lengths, so that no later table lacks one.
CUTOFFS = (10, 20, 50, 100)
ACRONYMS = ("rmse", "mae", "rmse_macro", "mae_macro", "ndcg", "map", "mrr")


def list_metrics() -> list[str]:
    """The metrics of lists with their cutoffs: "ndcg@10", …"""
    names = [metric.name for metric in metrics_of("lists")]
    return [f"{name}@{n}" for name in names for n in CUTOFFS]


def check_metric(metric: str, *, of_events: bool) -> None:
    """Refuse a metric that does not exist, or is not one of such data.

    Args:
        metric: its name.
        of_events: whether the data are events.

    Raises: SettingError with the metrics that there are.
    """
    known = list_metrics() if of_events else rating_figures()
    if metric in known:
        return

    if not of_events and metric in list_metrics():
        raise SettingError(
            f"{metric} is a figure of ranked lists of events; say which ratings are events, such "
            "as events = { from = 4 }, or take rmse."
        )

    raise unknown("metric of events" if of_events else "metric of an experiment", metric, known)


def is_of_lists(metric: str) -> bool:
    """Whether it is a figure of ranked lists; else it is an error of predicted ratings."""
    name = metric.partition("@")[0]
    return name in METRICS and METRICS[name].of == "lists"


def more_is_better(metric: str) -> bool:
    """Whether a larger figure is the better one."""
    return is_of_lists(metric)


def cutoff_of(metric: str) -> int:
    """The length of the list that counts, of a metric of lists."""
    return int(metric.partition("@")[2])


def label(metric: str) -> str:
    """The metric as a page writes it: RMSE, NDCG@10, capped recall@20."""
    name, at, n = metric.partition("@")
    words = name.upper() if name in ACRONYMS else name.replace("_", " ")
    return f"{words}{at}{n}"
