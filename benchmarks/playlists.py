"""Completing playlists: python benchmarks/playlists.py PART [OPTION …], a JSON line per figure.

    compare DATA [SEED …]   playlist beside popularity, item_knn, ease, multvae and deeprec on the
                            same lists: lastfm/2k, citeulike_tags/t
    planted SHARE           the score on made-up lists beside the best possible one
    shape SHARE [EPOCHS]    time and memory of a fit of Melon's size times a share, and of answers
    lists DATA              three lists that a person can judge, and how they are completed

Lists are held out whole; of each, a part is hidden as the Melon challenge does (without titles: 42%
half of the items, 39% half of items and tags, 19% half of the tags). The score is the challenge's:
0.85 · NDCG@100 of items + 0.15 · NDCG@10 of tags. Differences are paired over the test lists.
"""

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import polars as pl

import recollect as rc
from recollect.data.kinds import KIND, OWN_ID
from recollect.data.playlists import WORDS, as_events
from recollect.data.sources.melon import best, synthetic
from recollect.evaluation.playlists import PlaylistScores, answer, ask, score
from recollect.evaluation.t_tests import mean_interval, paired_t
from recollect.memory_estimate import Shape
from recollect.registry import from_text
from recollect.run import peak_memory_mb
from recollect.system import allocator

allocator.configure()
warnings.simplefilter("ignore", rc.RecollectWarning)

TEST = 0.2  # share of the lists that are asked
# Of rivals that may not have every weight, for 30 thousand items.
MODELS = (
    "popularity",
    "item_knn",
    "item_knn neighbors=500 shrinkage=5",
    "ease keep=0.01",
    "multvae hidden=300 factors=100",
    "deeprec loss=multinomial",
    "playlist",
)


def main() -> None:
    """Print a JSON line for each figure."""
    part, *arguments = sys.argv[1:]
    for line in PARTS[part](*arguments):
        print(json.dumps(line), flush=True)


def tables_of(events: rc.Ratings) -> pl.DataFrame:
    """Events as a table of lists, without the words of titles."""
    frame = pl.DataFrame(
        {
            "list": events.user,
            KIND: pl.Series(events.kinds.names).gather(events.kinds.of_item[events.item]),
            OWN_ID: events.kinds.own_ids.gather(events.item),
        }
    )
    out = pl.DataFrame({"list": np.arange(events.n_users, dtype=np.int32)})
    for kind in events.kinds.names:
        if kind != WORDS:
            own = frame.filter(pl.col(KIND) == kind).group_by("list").agg(pl.col(OWN_ID))
            out = out.join(own.rename({OWN_ID: kind}), on="list", how="left").with_columns(
                pl.col(kind).fill_null([])
            )

    return out.sort("list").select(events.users.ids.alias("id"), pl.exclude("list"))


def split(data: str, seed: int) -> tuple[rc.Ratings, Any]:
    """The lists to learn from, and questions about the others."""
    events = rc.load(data)
    lists = tables_of(events)
    random = np.random.default_rng(seed)
    is_asked = random.random(events.n_users) < TEST
    train = events.where(~is_asked[events.user])
    others = lists.filter(pl.Series(is_asked))

    return train, ask(others, seed=seed)


def figures(scores: PlaylistScores, asked: Any) -> dict[str, Any]:
    """The score, and the NDCG of each kind of item for each kind of question."""
    by_question = {
        question.name: {
            kind: round(scores.mean(kind, asked.kind == number), 4) for kind in scores.shares
        }
        for number, question in enumerate(asked.kinds)
    }
    means = {kind: round(scores.mean(kind), 4) for kind in scores.shares}

    return {"score": round(scores.score, 4), **means, "by_question": by_question}


def compare(data: str, *rest: str) -> Any:
    """Every model on the same lists, and playlist against each of the others."""
    models = [text for text in rest if not text.isdecimal()] or MODELS
    for seed in [int(text) for text in rest if text.isdecimal()] or [0]:
        train, asked = split(data, seed)
        found: dict[str, PlaylistScores] = {}

        for text in models:
            started = time.monotonic()
            model = from_text(text).fit(train)
            seconds = time.monotonic() - started
            found[text] = score(answer(model, asked.questions), asked.answers)
            yield {
                "data": data,
                "seed": seed,
                "model": text,
                **figures(found[text], asked),
                "lists": len(asked.kind),
                "fit_s": round(seconds, 1),
            }

        own = found["playlist"].per_list
        for text, scores in found.items():
            if text != "playlist":
                both = ~np.isnan(own) & ~np.isnan(scores.per_list)
                difference = paired_t(own[both], scores.per_list[both])
                interval = mean_interval((own - scores.per_list)[both])
                yield {
                    "data": data,
                    "seed": seed,
                    "playlist less": text,
                    "difference": round(interval.mean, 4),
                    "interval": [round(interval.low, 4), round(interval.high, 4)],
                    "p": difference.p,
                }


def planted_lists(share: float) -> tuple[synthetic.Truth, rc.Ratings, pl.DataFrame, Any]:
    """Made-up lists, others to ask about with their months, and the questions."""
    sizes = synthetic.Sizes.of(share)
    truth = synthetic.truth_of(sizes, 0)
    lists, _ = synthetic.draw(truth, sizes.lists, 0)
    others, _ = synthetic.draw(truth, sizes.questions, 1)
    facts = pl.DataFrame(synthetic.song_facts(truth)).select(
        pl.lit("songs").alias(KIND),
        pl.col("id").cast(pl.String).alias(OWN_ID),
        pl.col("artist_id_basket").cast(pl.List(pl.String)).alias("artists"),
        pl.concat_list(pl.col("album_id").cast(pl.String)).alias("albums"),
        pl.col("song_gn_gnr_basket").alias("genres"),
        pl.col("issue_date").cast(pl.Int32).alias("issued"),
    )
    events = as_events(timed(lists), facts, name=f"planted/melon {share}")

    return truth, events, others, ask(timed(others), seed=0)


def timed(lists: pl.DataFrame) -> pl.DataFrame:
    """Lists with the time of their dates in seconds."""
    dates = pl.Series([synthetic.date_of(month) for month in lists["month"]]).str.slice(0, 19)
    moment = dates.str.to_datetime("%Y-%m-%d %H:%M:%S", time_zone="UTC")
    return lists.drop("month").with_columns(moment.dt.epoch("s").alias("time"))


def planted(share: str, *models: str) -> Any:
    """The score on made-up lists, and the best possible one."""
    truth, events, others, asked = planted_lists(float(share))
    shown = [asked.kinds[kind].shown for kind in asked.kind]
    known = best.best_results(truth, asked.questions, shown, others["month"].to_list())
    bound = score(known, asked.answers)
    yield {"share": share, "model": "best possible", **figures(bound, asked)}

    for text in models or ("playlist",):
        started = time.monotonic()
        model = from_text(text).fit(events)
        seconds = time.monotonic() - started
        results = answer(model, asked.questions, kinds=("songs", "tags"))
        scores = score(results, asked.answers)
        yield {
            "share": share,
            "model": text,
            **figures(scores, asked),
            "of_best": round(scores.score / bound.score, 4),
            "fit_s": round(seconds, 1),
        }


def shape(share: str, epochs: str = "2") -> Any:
    """Time and memory of a fit and of answers at a share of Melon's size.

    `processor_s` is the time of all cores, which other programs on the machine disturb less.
    """
    clock = Clock()
    _, events, _, asked = planted_lists(float(share))
    yield {"part": "made", "data": repr(events), **clock.lap()}
    laps: list[dict[str, float]] = []
    run = rc.Run(threads=2, watchers=(lambda _: laps.append(clock.lap()),))
    model = from_text(f"playlist epochs={epochs}").fit(events, run=run)
    yield from ({"part": f"epoch {number}", **lap} for number, lap in enumerate(laps, start=1))
    predicted = round(model.memory(Shape.of(events, None)).peak / 1e6)
    yield {"part": "weights", "predicted_mb": predicted, **clock.lap()}
    results = answer(model, asked.questions, kinds=("songs", "tags"))
    yield {"part": "answers", "questions": len(results), **clock.lap()}
    yield {"part": "score", **figures(score(results, asked.answers), asked)}


class Clock:
    """Seconds of the clock and of all cores since it was last asked, and the peak of memory."""

    def __init__(self) -> None:
        self.before = (time.monotonic(), time.process_time())

    def lap(self) -> dict[str, float]:
        """The figures since the last call."""
        now = (time.monotonic(), time.process_time())
        before, self.before = self.before, now

        return {
            "seconds": round(now[0] - before[0], 1),
            "processor_s": round(now[1] - before[1], 1),
            "peak_mb": round(peak_memory_mb()),
        }


def lists(data: str) -> Any:
    """Three lists of which half is hidden, and what the model adds to them."""
    train, asked = split(data, 0)
    model = from_text("playlist").fit(train)
    titles = dict(zip(train.items.ids, train.titles(train.items.ids), strict=True))

    for index in range(3):
        [shown] = asked.questions.slice(index, 1).to_dicts()
        [hidden] = asked.answers.slice(index, 1).to_dicts()
        own = {kind: ids for kind, ids in shown.items() if kind in train.kinds.names}
        found = rc.top_n(model, events=own, kinds=list(own), n=10)
        line: dict[str, Any] = {
            "list": shown["id"],
            "question": asked.kinds[asked.kind[index]].name,
        }
        for kind in own:
            named = found.filter(pl.col(KIND) == kind)
            wanted = set(hidden[kind])
            line[kind] = {
                "shown": [titles.get(f"{kind}:{own_id}", own_id) for own_id in shown[kind]],
                "named": [
                    f"{title}{' *' if own_id in wanted else ''}"
                    for title, own_id in zip(named["title"], named[OWN_ID], strict=True)
                ],
            }
        yield line


PARTS = {"compare": compare, "planted": planted, "shape": shape, "lists": lists}

if __name__ == "__main__":
    main()
