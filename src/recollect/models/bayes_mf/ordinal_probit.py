"""Ratings as levels between cut points: ordered probit, its latent numbers and cut points drawn.

A rating is level l if its latent number, N(what the factors say, 1), lies between cut points l − 1 and l. Source: Albert, Chib.
"Bayesian Analysis of Binary and Polychotomous Response Data." JASA 1993; and, for the cut points, their "Sequential Ordinal
Modeling with Applications to Survival Data", Biometrics 2001: drawn with the latent numbers integrated out, as the first and the
logarithms of the differences. The proposals are a Newton step away, as in Qi, Minka, "Hessian-based Markov Chain Monte-Carlo
Algorithms", 2002, and have Student's t distribution, as Albert's and Chib's: with lighter tails, cut points that have fallen
behind what the factors say would never catch up, since nothing leads back to where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from scipy.special import ndtr, ndtri

from recollect.models.bayes_mf import truncated_normal

FREEDOM = 5  # of the t distribution of proposals


@dataclass
class Fit:
    """How well some cut points fit, and which way is up, in the first and the logarithms of the differences."""

    log_likelihood: float
    slope: Float64[np.ndarray, " cuts"]
    information: Float64[np.ndarray, "cuts cuts"]

    @property
    def step(self) -> Float64[np.ndarray, " cuts"]:
        """To the top, were this a parabola."""
        return np.linalg.solve(self.information, self.slope)


class Ordinal:
    """A Noise (see `gibbs`) of which `value` are the latent numbers, with precision 1."""

    alpha = 1.0

    def __init__(self, level: Int[np.ndarray, " ratings"], n_levels: int) -> None:
        self._level, self.n_cuts = level, n_levels - 1
        share = np.cumsum(np.bincount(level, minlength=n_levels))[:-1] / max(1, len(level))
        self._cut = ndtri(share)
        self.value = truncated_normal.mean(*self.bounds(np.zeros(len(level)))).astype(np.float32)

    def bounds(
        self, said: Float[np.ndarray, " ratings"]
    ) -> tuple[Float64[np.ndarray, " ratings"], Float64[np.ndarray, " ratings"]]:
        """Between what each latent number lies, less what the factors say."""
        return bounds(self._cut, self._level, said)

    def draw(
        self, said: Float32[np.ndarray, " ratings"], random: np.random.Generator, *, burning: bool
    ) -> None:
        """The cut points, by Metropolis and Hastings; then the latent numbers. While burning in, every proposal is taken."""
        now = apart(self._cut)
        here = self.fit(now, said)
        proposed = now + here.step + _noise(here, random)
        there = self.fit(proposed, said)
        gain = (
            there.log_likelihood
            - here.log_likelihood
            + _log_chance(now, proposed, there)
            - _log_chance(proposed, now, here)
        )
        if burning or np.log(random.random()) < gain:
            self._cut = together(proposed)
        low, high = self.bounds(said)
        self.value = (said + truncated_normal.draw(low, high, random.random(len(said)))).astype(
            np.float32
        )

    def fit(
        self, place: Float64[np.ndarray, " cuts"], said: Float32[np.ndarray, " ratings"]
    ) -> Fit:
        """How these cut points, told apart, fit."""
        cut = together(place)
        low, high = bounds(cut, self._level, said)
        mirrored = low > 0  # next to 1 digits are lost, next to 0 they are not
        between = np.maximum(
            np.where(mirrored, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low)), 1e-300
        )
        up, down = (np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) / between for x in (high, low))
        sums = {
            name: np.bincount(self._level, weights=x, minlength=self.n_cuts + 1)
            for name, x in (
                ("up", up),
                ("down", down),
                ("up up", up * up),
                ("down down", down * down),
                ("up down", up * down),
            )
        }
        slope = sums["up"][:-1] - sums["down"][1:]
        information = np.diag(sums["up up"][:-1] + sums["down down"][1:])
        for at, both in enumerate(
            sums["up down"][1:-1]
        ):  # levels that have a cut point on either side
            information[at, at + 1] = information[at + 1, at] = -both
        moves = np.tril(
            np.broadcast_to(np.concatenate([[1.0], np.diff(cut)]), (self.n_cuts, self.n_cuts))
        )  # d cut / d place
        return Fit(float(np.log(between).sum()), moves.T @ slope, moves.T @ information @ moves)

    def cut(self) -> Float64[np.ndarray, " cuts"]:
        """See Noise."""
        return self._cut

    def state(self) -> dict[str, Any]:
        """See Noise."""
        return {"cut": torch.from_numpy(self._cut), "value": torch.from_numpy(self.value)}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Noise."""
        self._cut, self.value = state["cut"].numpy(), state["value"].numpy()


def bounds(
    cut: Float[np.ndarray, " cuts"],
    level: Int[np.ndarray, " ratings"],
    said: Float[np.ndarray, " ratings"],
) -> tuple[Float64[np.ndarray, " ratings"], Float64[np.ndarray, " ratings"]]:
    """The cut points below and above each level, less what the factors say; infinite for the lowest and the highest."""
    edges = np.concatenate([[-np.inf], cut, [np.inf]])
    return edges[level] - said, edges[level + 1] - said


def apart(cut: Float64[np.ndarray, " cuts"]) -> Float64[np.ndarray, " cuts"]:
    """The first cut point, and the logarithms of the differences."""
    return np.concatenate([cut[:1], np.log(np.diff(cut))])


def together(place: Float64[np.ndarray, " cuts"]) -> Float64[np.ndarray, " cuts"]:
    """The reverse: always in ascending order."""
    return np.cumsum(np.concatenate([place[:1], np.exp(place[1:])]))


def _noise(at: Fit, random: np.random.Generator) -> np.ndarray:
    """Student's t, of scale information⁻¹."""
    normal = np.linalg.solve(
        np.linalg.cholesky(at.information).T, random.standard_normal(len(at.slope))
    )
    found: np.ndarray = normal / np.sqrt(random.chisquare(FREEDOM) / FREEDOM)
    return found


def _log_chance(to: np.ndarray, start: np.ndarray, at: Fit) -> float:
    """The logarithm of the density with which `to` is proposed from `start`, but for a constant."""
    off = to - start - at.step
    far = np.log1p(off @ at.information @ off / FREEDOM)
    return float(0.5 * np.linalg.slogdet(at.information)[1] - 0.5 * (FREEDOM + len(off)) * far)
