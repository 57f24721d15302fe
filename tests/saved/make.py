"""Save a small fitted model of every kind, and what it predicts: the test loads old folders.

    python tests/saved/make.py tests/saved/0.1.0

Run it with the release whose folders are to be kept; the test never makes them anew.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from tests.cases import VARIANTS, made

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from recollect.run import Run

SHORT = {
    "epochs": 3,
    "pretrain_epochs": 2,
    "text_epochs": 1,
    "burn_in": 1,
    "n_samples": 3,
    "factors": 2,
}
EXTRA = [
    ("autorec", {"side": "user", "center": True}),
    ("deeprec", {"loss": "multinomial", "center": False, "activation": "tanh"}),
]


def main(folder: Path) -> None:
    """One folder per model, and expected.json with predictions and fold-ins."""
    truth = planted(24, 16, 240, rank=2, noise=0.2, seed=1)
    ratings = rc.with_texts(truth.ratings, planted_texts(truth.truth, truth.ratings.items))
    expected = {}
    plain = [variant for variant in VARIANTS if not variant[1]]
    for name, changes in [*plain, *EXTRA]:
        model = made((name, changes))
        model = type(model)(
            **{**vars(model), **{key: value for key, value in SHORT.items() if hasattr(model, key)}}
        )
        data = (
            ratings.events(from_=ratings.mean) if "events" in model.capabilities.needs else ratings
        )
        model.fit(data, run=Run(seed=3, threads=1))
        label = "-".join([name, *map(str, changes.values())][:2])
        rc.save(model, folder / label)
        user, item = np.divmod(np.arange(24 * 16), 16)
        expected[label] = {
            "predictions": model.predict(user, item).tolist(),
            "fold_in": model.fold_in(data.by_user.take(np.arange(3))).ravel().tolist(),
        }
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
