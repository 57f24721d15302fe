"""Kept draws of factors, and what they say together: the mean over draws, how far they are apart, and the noise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Samples(nn.Module):
    """Draws of every user's, item's and day's vector (factors, and the offset last), in 16 bits, which err by 1/2000.

    With `levels` (the ratings that there are) a draw's latent numbers and cut points give the probability of each level; without,
    they are ratings less `mu` in units of `spread`, with noise of precision `alpha`.
    """

    def __init__(
        self,
        kept: int,
        *,
        n_users: int,
        n_items: int,
        n_days: int,
        k: int,
        n_levels: int,
        bags: bool,
    ) -> None:
        super().__init__()
        self.user, self.item, self.day, self.held = (
            nn.Buffer(torch.zeros(kept, n, k, dtype=torch.float16))
            for n in (n_users, n_items, n_days + 1, n_items if bags else 0)
        )  # the last day is any that nothing is known of
        self.mean, self.precision = (
            nn.Buffer(torch.zeros(kept, k)),
            nn.Buffer(torch.zeros(kept, k, k)),
        )  # prior of the users
        self.alpha, self.cut = (
            nn.Buffer(torch.ones(kept)),
            nn.Buffer(torch.zeros(kept, max(0, n_levels - 1))),
        )
        self.levels = nn.Buffer(torch.zeros(n_levels))
        self.mu, self.spread = nn.Buffer(torch.zeros(())), nn.Buffer(torch.ones(()))
        self.days = nn.Buffer(torch.zeros(n_days, dtype=torch.int64))  # since 1970, ascending
        self.last_day = nn.Buffer(
            torch.full((n_users,), n_days, dtype=torch.int64)
        )  # of each user, a row of `day`
        self.n = nn.Buffer(torch.zeros((), dtype=torch.int64))  # draws kept so far

    def forward(self, user: Tensor, item: Tensor, day: Tensor | None = None) -> Tensor:
        """The rating of each pair on this day, by default the user's last: the mean over the draws."""
        total = torch.zeros(len(user), device=user.device)
        for s, latent in enumerate(self.latent(user, item, day)):
            total += self.expected(latent, self.cut[s])
        return total / self.n

    def latent(
        self, user: Tensor, item: Tensor, day: Tensor | None = None
    ) -> Iterator[Float[Tensor, " pairs"]]:
        """What each draw says of the pairs."""
        day = self.last_day[user] if day is None else day
        for s in range(int(self.n)):
            u, v, d = (
                self.user[s].float()[user],
                self.item[s].float()[item],
                self.day[s].float()[day],
            )
            offsets = u[:, -1] + v[:, -1] + d[:, -1]
            yield offsets + (u * v + (u + v) * d)[:, :-1].sum(dim=1)

    def table(
        self, s: int, user: Float[Tensor, "users k"], day: Int[Tensor, " users"]
    ) -> Float[Tensor, "users items"]:
        """What draw s says of every item, for users with these vectors."""
        v, d = self.item[s].float(), self.day[s].float()[day]
        mine = user[:, -1] + d[:, -1] + (user * d)[:, :-1].sum(dim=1)
        return (user + d)[:, :-1] @ v[:, :-1].t() + v[:, -1] + mine[:, None]

    def expected(self, latent: Tensor, cut: Float[Tensor, " cuts"]) -> Tensor:
        """The expected rating."""
        if not len(self.levels):
            return self.mu + self.spread * latent
        out = torch.full_like(latent, float(self.levels[0]))
        for step, at in zip(self.levels.diff(), cut, strict=True):
            out += step * torch.special.ndtr(latent - at)
        return out

    def moments(
        self, user: Tensor, item: Tensor, day: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the rating: what is not known of the vectors, and the noise."""
        total, square, noise = torch.zeros(3, len(user), dtype=torch.float64, device=user.device)
        for s, latent in enumerate(self.latent(user, item, day)):
            mean = self.expected(latent, self.cut[s]).double()
            total, square = total + mean, square + mean.square()
            noise = noise + self._noise(latent, s, mean)
        mean = total / self.n
        return mean, (square / self.n - mean.square() + noise / self.n).clamp_min(0).sqrt()

    def _noise(self, latent: Tensor, s: int, mean: Tensor) -> Tensor:
        if not len(self.levels):
            return torch.ones_like(mean) * self.spread.square() / self.alpha[s]
        chance = self.chances(latent, self.cut[s]).double()
        return chance @ self.levels.double().square() - mean.square()

    def chances(
        self, latent: Float[Tensor, " pairs"], cut: Float[Tensor, " cuts"]
    ) -> Float[Tensor, "pairs levels"]:
        """The probability of each level."""
        below = torch.special.ndtr(cut - latent[:, None])
        return torch.diff(
            below,
            dim=1,
            prepend=torch.zeros_like(below[:, :1]),
            append=torch.ones_like(below[:, :1]),
        )
