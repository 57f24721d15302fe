"""The settings of DeepRec, for ratings and for events, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from recollect.data.ratings import Side
from recollect.errors import SettingError
from recollect.families.event_rows import COUNTS
from recollect.families.gradient_row_model import GradientRowModel
from recollect.nn import ACTIVATIONS, layer_sizes
from recollect.settings import setting, share
from recollect.training.gradient_options import GradientOptions

EVENT_LOSSES = ("weighted", "logistic", "multinomial")
LOSSES = ("ratings", *EVENT_LOSSES)
# The losses that a setting has a meaning for; with another loss it must have its default.
LOSSES_WITH = {
    "alpha": ("weighted",),
    "absent_weight": ("weighted", "logistic"),
    "counts": EVENT_LOSSES,
    "normalize": EVENT_LOSSES,
    "valid_n": EVENT_LOSSES,
}
# What None stands for, for ratings and for events.
OF_RATINGS = {
    "hidden": (256, 256),
    "input_dropout": 0.3,
    "reg": 400.0,
    "learning_rate": 0.0003,
    "batch_size": 128,
}
OF_EVENTS = {
    "hidden": 600,
    "input_dropout": 0.5,
    "reg": 0.0,
    "learning_rate": 0.001,
    "batch_size": 500,
}


@dataclass(kw_only=True, eq=False)
class DeepRecSettings(GradientRowModel):
    """What the network, the losses and the optimizer of DeepRec are set by.

    A setting that is None by default is filled in when the model is made: its best value depends
    on whether the loss is for ratings or for events.
    """

    side: Side = "user"  # what a row is

    # Sizes of the encoder's layers; the last one is the code. None: (256, 256), of events 600
    hidden: int | tuple[int, ...] = setting(None, at_least=1)
    # Hidden sizes of the decoder; None: the encoder's in reverse order
    decoder: int | tuple[int, ...] | None = setting(None, at_least=1)
    activation: str = setting("tanh", one_of=tuple(ACTIVATIONS))  # of every layer
    last_activation: bool = False  # of the last layer, too (the authors' code: True by default)
    dropout: float = share(0.0)  # share of the code dropped
    hidden_dropout: float = share(0.0)  # share of every other hidden layer dropped
    # Share of the input ratings dropped; None: 0.3, of events 0.5
    input_dropout: float = share(None)
    # lambda on every weight matrix; None: 400, of events 0
    reg: float = setting(None, at_least=0)
    # Ratings: whether the bias model's offsets are added to what the network gives; None: where
    # the last layer is linear and free, there is no re-feeding, and `center` is off
    offsets: bool | None = setting(None, before=False)
    tied: bool = False  # decoder weights are the encoder's, transposed ("constrained")

    # "ratings": squared error of observed ratings; the others are for events, over whole rows
    loss: str = setting("ratings", one_of=LOSSES)
    alpha: float = setting(10.0, at_least=0)  # weighted: an event has weight 1 + alpha · count
    absent_weight: float = setting(1.0, above=0)  # weighted, logistic: of a cell without event
    # Events: how a count enters, as it is, as log(1 + count), or as 1
    counts: str = setting("plain", one_of=COUNTS)
    normalize: bool = True  # events: each input row is divided by its Euclidean length
    valid_n: int = setting(100, at_least=1)  # events: stopped by the NDCG of lists of this length

    refeed: int = setting(0, at_least=0)  # times that the dense output is fed in again
    # What the output of a re-fed row should equal: the re-fed row, or the observed ratings
    refeed_target: str = setting("output", one_of=("output", "input"))
    refeed_rate: float = setting(1.0, above=0)  # factor of the gradient of re-feeding
    refeed_noise: float = share(0.0)  # share of the re-fed numbers dropped
    # Share of the columns that the error of re-feeding is computed on, drawn at each step
    refeed_share: float = setting(1.0, above=0, at_most=1)

    # In batches and with dropout, so neither L-BFGS nor Rprop
    optimizer: str = setting("adam", one_of=("sgd", "adam", "rmsprop"))
    # In the first epoch; None: 0.0003, of events 0.001
    learning_rate: float = setting(None, above=0)
    momentum: float = 0.9  # SGD only
    # Epochs from which on the learning rate is multiplied by decay
    milestones: tuple[int, ...] = setting((), at_least=1)
    decay: float = setting(0.5, above=0)  # factor of the learning rate at each milestone
    batch_size: int = setting(None, at_least=1)  # rows; None: 128, of events 500
    refit: bool = True
    state_bits: int = 32  # Adam only: 16 halves the memory of its moments
    epochs: int = setting(100, at_least=0)  # at most
    # Validations without a gain before the fit stops; None: never stop early
    patience: int | None = setting(10, at_least=1)
    # Epochs between validations
    validate_every: int = setting(1, at_least=1, formerly="look_every")

    def __post_init__(self) -> None:
        defaults = OF_RATINGS if self.loss == "ratings" else OF_EVENTS
        for name, value in defaults.items():
            if getattr(self, name) is None:
                setattr(self, name, value)

        super().__post_init__()

    @property
    def encoder_and_decoder(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Hidden sizes of the encoder, whose last one is the code's, and of the decoder."""
        encoder = layer_sizes(self.hidden)
        if self.decoder is None:
            return encoder, encoder[-2::-1]

        if isinstance(self.decoder, int):
            return encoder, (self.decoder,)

        return encoder, tuple(self.decoder)

    @property
    @override
    def layers(self) -> tuple[int, ...]:
        encoder, decoder = self.encoder_and_decoder
        return (*encoder, *decoder)

    @property
    @override
    def linear(self) -> bool:
        return not self.last_activation or self.activation == "identity"

    @property
    @override
    def has_offsets(self) -> bool:
        if self.offsets is None:
            return self._may_have_offsets
        return self.offsets

    @property
    def _may_have_offsets(self) -> bool:
        is_plain = not (self.tied or self.refeed or self.center)
        return self.loss == "ratings" and self.linear and is_plain

    @override
    def options(self) -> GradientOptions:
        """The settings of the optimizer."""
        return GradientOptions.of(self, milestones=tuple(self.milestones), mixed=True)

    @override
    def check(self) -> None:
        super().check()
        encoder, decoder = self.encoder_and_decoder
        if self.tied and decoder != encoder[-2::-1]:
            raise SettingError(
                "tied=True gives the decoder the encoder's weights, so its sizes are the encoder's "
                f"mirrored; found decoder={decoder} for hidden={encoder}: leave decoder out."
            )

        if self.offsets and not self._may_have_offsets:
            raise SettingError(
                'offsets=True needs loss="ratings", a linear last layer, tied=False, refeed=0 and '
                f"center=False, found loss={self.loss!r}, last_activation={self.last_activation}, "
                f"tied={self.tied}, refeed={self.refeed} and center={self.center}; leave offsets "
                "out."
            )

        for name, losses in LOSSES_WITH.items():
            value = getattr(self, name)
            if self.loss not in losses and value != getattr(type(self), name):
                raise SettingError(
                    f"{name}={value} is for loss={' or '.join(map(repr, losses))} only, found loss="
                    f"{self.loss!r}; leave it out, or change the loss."
                )
