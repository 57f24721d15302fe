"""Playlist: lists of items of several kinds are completed by an autoencoder and by neighbors.

    h = g(V x + b),  p_k = softmax(W_k h + c_k) for each kind k of items       the network
    score = Σ_m w_m · member m's scores of the kind / the largest of them      the blend

x is what is known of a list: its songs, tags and words of its title, and the artists, albums and
genres of its songs. In training whole kinds of x are hidden, and half of the rest, and the network
gives the whole list. The other members are neighbors (`neighbors`): the lists that are most alike,
and the items that stand in lists with those of x. A list of which only the title is known is
completed by the words and pieces of words of its title, in all three.

Source: Yang, Jeong, Choi, Lee. "MMCF: Multimodal Collaborative Filtering for Automatic Playlist
    Continuation." RecSys Challenge 2018 (one network over several kinds, hide-and-seek). Liang,
    Krishnan, Hoffman, Jebara. "Variational Autoencoders for Collaborative Filtering." WWW 2018
    (the multinomial loss). Sarwar, Karypis, Konstan, Riedl. "Item-Based Collaborative Filtering
    Recommendation Algorithms." WWW 2001 (neighbors). Kim, Shin, Park and others. "Melon Playlist
    Continuation." Kakao Arena 2020 (kinds in one space of neighbors, titles' words among them).
Differs: MMCF reads titles letter by letter in a network of its own; here their words and the runs
of two and three letters of each are items like others. Its weights are tied, its loss logistic:
`tied=True, loss="logistic"`. Weights of the blend are for each combination of known kinds. Lists
are held out to choose them and when to stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.families.users_as_rows import UsersAsRows
from recollect.families.vectors import centered
from recollect.kernels import Block
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.model import Capabilities, Model
from recollect.models.playlist import blending, training
from recollect.models.playlist.columns import Columns, columns_of
from recollect.models.playlist.members import Members, blocks
from recollect.models.playlist.neighbors import Neighbors
from recollect.models.playlist.network import Network
from recollect.models.playlist.training import Judged, Seeker
from recollect.nn import ACTIVATIONS
from recollect.run import Run
from recollect.settings import setting, share
from recollect.system.once import Once
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric
from recollect.training.gradient_options import GradientOptions
from recollect.training.history import History
from recollect.unseen import BLOCK_CELLS, share_of_users

LEAST_HELD_OUT = 10  # lists by which weights are chosen and the fit is stopped
# Lists of a batch where none are stated: an epoch has about STEPS of them.
LEAST_BATCH = 100
MOST_BATCH = 1000
STEPS = 50
# What is added of popularity: items of which no member knows anything follow in its order.
POPULARITY = 1e-6
COPIES = 5  # parameters, gradients, two moments of Adam, the best weights


@dataclass(kw_only=True, eq=False)
class Playlist(UsersAsRows):
    """An autoencoder and neighbors on lists of items of several kinds."""

    # Kinds of items that are predicted; None: all but words of titles
    targets: tuple[str, ...] | None = None
    # Fields of the item table whose values are features of the items: artists, genres; None: all
    # that hold lists of texts
    features: tuple[str, ...] | None = None
    # Lists in which an item or a feature stands, for the network to know it
    min_events: int = setting(2, at_least=1)
    most: int = setting(40_000, at_least=1)  # items of each kind that the network knows

    hidden: int = setting(300, at_least=1)
    activation: str = setting("tanh", one_of=tuple(ACTIVATIONS))
    tied: bool = False  # whether an item's output weights are its input weights
    dropout: float = share(0.5)  # share of the hidden units that is dropped in training
    hide: float = share(0.4)  # probability that a kind of a list is hidden in training
    input_dropout: float = share(0.5)  # share of the other items that is hidden in training
    loss: str = setting("multinomial", one_of=("multinomial", "logistic"))
    absent_weight: float = setting(0.5, above=0)  # logistic only: of an item that a list lacks
    # Weights of kinds in the loss, such as ("tags=0.5",); 1 if not stated
    kind_weights: tuple[str, ...] = ()
    # Items of a kind without an event in the batch that are drawn for its loss
    sampled: int = setting(3000, at_least=1)
    reg: float = setting(0.0, at_least=0)  # lambda on the network's matrices

    neighbors: int = setting(300, at_least=1)  # k: lists, by their similarity
    power: float = setting(2.5, above=0)  # rho: how much more near lists count
    shrinkage: float = setting(3.0, at_least=0)  # s, of items' neighbors
    asymmetry: float = setting(0.45, at_least=0, at_most=1)  # alpha, of items' neighbors
    most_lists: int = setting(3000, at_least=1)  # lists that share an item, of items' neighbors
    # Lists that may have an item or a feature for it to find similar lists
    most_common: int = setting(20_000, at_least=1)

    # Share of the lists that choose weights and when to stop, where there is no validation part
    held_out: float = setting(0.1, above=0, below=1)
    valid_n: int = setting(50, at_least=1)  # length of the lists whose NDCG chooses
    optimizer: str = setting("adam", one_of=("sgd", "adam", "rmsprop"))
    learning_rate: float = setting(0.002, above=0)
    momentum: float = 0.9  # SGD only
    # Lists; None: a fiftieth of all, from 100 to 1,000
    batch_size: int | None = setting(None, at_least=1)
    epochs: int = setting(60, at_least=0)  # at most; an epoch is a pass over the lists
    # Validations without a gain before the fit stops; None: never stop early
    patience: int | None = setting(6, at_least=1)
    validate_every: int = setting(1, at_least=1)  # epochs between validations
    refit: bool = True

    @property
    @override
    def capabilities(self) -> Capabilities:
        smaller = ({"most": 10_000}, {"most": 10_000, "hidden": 100})
        return Capabilities(output="scores", needs=frozenset({"events"}), smaller=smaller)

    @override
    def check(self) -> None:
        self.options().check()
        training.weights_of(self.kind_weights, ())

    def options(self, n_lists: int = 0) -> GradientOptions:
        """The settings of the optimizer, for so many lists."""
        return GradientOptions.of(self, mixed=True, batch_size=self._batch_of(n_lists))

    def _batch_of(self, n_lists: int) -> int:
        """Lists of a batch."""
        return self.batch_size or min(max(LEAST_BATCH, n_lists // STEPS), MOST_BATCH)

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        # Of at most three kinds and as many fields of features.
        inputs = min(2 * shape.n_items, 6 * self.most)
        outputs = min(shape.n_items, 2 * self.most)
        of_network = 4 * COPIES * self.hidden * (inputs + outputs)
        # Scores of a batch, their gradient and the weights of the items drawn.
        drawn = min(outputs, 2 * self.sampled)
        step = 4 * drawn * (3 * self._batch_of(shape.n_users) + 2 * self.hidden)
        scored = 4 * 12 * max(BLOCK_CELLS, shape.n_items)
        return of_pairs(shape, parameters=of_network + step + scored, bytes_per_rating=100)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return Network(
            self._columns_of(self.given_),
            hidden=self.hidden,
            g=self.activation,
            tied=self.tied,
            dropout=self.dropout,
            n_situations=1 << blending.MOST_KINDS,
        )

    def _columns_of(self, events: AnyRatings) -> Columns:
        assert isinstance(events, Ratings)
        return columns_of(
            events,
            fields=self.features,
            targets=self.targets,
            min_events=self.min_events,
            most=self.most,
        )

    # Learning.

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Train the network, then choose the weights of the blend."""
        assert isinstance(train, Ratings)
        columns = self._columns.get(lambda: self._columns_of(self.given_))
        weight = vars(self).get("_weight")
        if weight is not None:  # the second fit of `refit`
            history = self._train(columns, train.by_user, None, run, train)
            self.net_.weight.copy_(weight)
            return history

        part, judged = self._judged(train, valid, run)
        history = self._train(columns, part, judged, run, train)
        if judged is not None:
            self.net_.eval()
            self._members_of(columns, part).choose_weights(judged)

        return history

    def _judged(
        self, train: Ratings, valid: Ratings | None, run: Run
    ) -> tuple[Rows, Judged | None]:
        """The lists to learn from, and those that choose; None if there are too few."""
        random = np.random.default_rng(run.seed)
        if valid is not None and len(valid):
            judged = training.judged_by_valid(train, valid, hide=self.hide, random=random)
            return train.by_user, judged if len(judged.seen) else None

        people = np.flatnonzero(train.count("user") > 1)
        n = min(int(len(people) * self.held_out), training.MOST_LISTS)
        if n < LEAST_HELD_OUT:
            return train.by_user, None

        chosen = np.sort(random.choice(people, n, replace=False))
        is_kept = np.ones(train.n_users, bool)
        is_kept[chosen] = False
        # A row number of −1 gives an empty row, so that rows keep their numbers.
        part = train.by_user.take(np.where(is_kept, np.arange(train.n_users), -1))
        # A few lists are judged several times, each time with something else hidden.
        again = max(1, min(training.MOST_TIMES, training.MOST_LISTS // n))
        judged = training.judged_lists(
            train.by_user.take(np.repeat(chosen, again)),
            train.kinds,
            hide=self.hide,
            random=random,
        )

        return part, judged

    def _train(
        self, columns: Columns, rows: Rows, judged: Judged | None, run: Run, train: Ratings
    ) -> History:
        """Train the network.

        Args:
            columns: what enters and what is scored.
            rows: the lists to learn from.
            judged: lists that choose when to stop; None: all epochs.
            run: how to run the fit.
            train: the events, for the key of the fit.
        """
        names = [train.kinds.names[kind] for kind in columns.targets]
        seeker = Seeker(
            columns,
            train.kinds,
            self,
            training.weights_of(self.kind_weights, names),
        )
        measure = None
        if judged is not None:
            net: Network = self.net_
            measure = ValidationMetric(
                f"valid_ndcg@{self.valid_n}",
                lambda: training.network_ndcg(net, columns, judged, n=self.valid_n),
                better="higher",
            )

        return gradient.fit(
            self.net_,
            rows,
            seeker.loss,
            run,
            self.options(len(rows)),
            penalty=self._penalty,
            measure=measure,
            figure="train_loss",
            fit_key=self.fit_key(train, None),
        )

    def _penalty(self, net: Network) -> list[tuple[Tensor, float]]:
        """λ/2 · Σ ‖W‖² over the matrices; none if λ is 0."""
        matrices = [p for p in net.parameters() if p.ndim == 2]
        return [(matrix, self.reg) for matrix in matrices if self.reg]

    @override
    def second_fit(self) -> Model:
        second = super().second_fit()
        vars(second)["_weight"] = self.net_.weight.clone()
        return second

    # Scores.

    @override
    def _forget(self) -> None:
        self._columns: Once[Columns] = Once()
        self._members: Once[Members] = Once()

    def _members_of(self, columns: Columns, rows: Rows) -> Members:
        """The members of the blend, with some lists as neighbors."""
        return Members(
            self,
            self.net_,
            columns,
            Neighbors.of(columns.expand(rows), columns.n_items, most=self.most_common),
            self.given_.kinds.of_item,
        )

    def _all_members(self) -> Members:
        columns = self._columns.get(lambda: self._columns_of(self.given_))
        return self._members_of(columns, self._lists())

    def _lists(self) -> Rows:
        """The lists that the model was fitted on."""
        assert isinstance(self.given_, Ratings)
        return self.given_.by_user

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Scores of every item for lists of which some items are known, of any kinds."""
        out = np.empty((len(rows), rows.n_columns), np.float32)
        out[:] = np.float32(POPULARITY) * share_of_users(self.given_)
        members = self._members.get(self._all_members)

        for part in blocks(len(rows), rows.n_columns):
            members.add_scores(rows.take(part), out[part[0] : part[-1] + 1])

        return out

    @override
    @torch.no_grad()
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The codes of lists; of items their input weights, 0 of those that the network lacks."""
        columns = self._columns.get(lambda: self._columns_of(self.given_))
        net: Network = self.net_
        if side == "user":
            entered = columns.network_rows(columns.expand(self._lists()))
            codes: Tensor = net.encode(Block.of(entered, next(net.parameters()).device))
            return centered(self, side, codes.cpu().numpy())

        weight = net.input.weight.cpu().numpy()
        is_item = columns.inputs < columns.n_items
        vectors = np.zeros((columns.n_items, weight.shape[1]), np.float32)
        vectors[columns.inputs[is_item]] = weight[is_item]

        return centered(self, side, vectors)


# Settings with which it learns planted events in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {
    "hidden": 16,
    "dropout": 0.0,
    "hide": 0.0,
    "input_dropout": 0.3,
    "learning_rate": 0.02,
    "batch_size": 20,
    "epochs": 20,
    "refit": False,
}
