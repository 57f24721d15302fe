"""What a training step of Mult-VAE does, by its number: the weight of the KL, and who learns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """What a step trains, and whether the encoder is copied before it."""

    encoder: bool
    decoder: bool
    copies: bool


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Steps in passes over the data, passes in turns.

    With `encoder_epochs` of 0 every pass trains everything, and the encoder is copied after each.
    Otherwise a turn is so many passes that train the encoder, and one that trains the decoder; the
    encoder is copied between them.
    """

    batches: int  # steps of a pass
    encoder_epochs: int
    anneal_steps: int  # after which the KL has its full weight

    def turn(self, step: int) -> Turn:
        """What this step does; the first one is number 0."""
        number, batch = divmod(step, self.batches)
        is_first = batch == 0
        if not self.encoder_epochs:
            return Turn(encoder=True, decoder=True, copies=is_first)

        place = number % (self.encoder_epochs + 1)
        is_decoders = place == self.encoder_epochs

        return Turn(encoder=not is_decoders, decoder=is_decoders, copies=is_first and is_decoders)

    def annealed(self, step: int) -> float:
        """The share of its full weight that the KL has: it rises linearly from 0 at step 0."""
        if step >= self.anneal_steps:
            return 1.0
        return step / self.anneal_steps
