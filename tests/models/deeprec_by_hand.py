"""DeepRec's network in plain NumPy, and models to compare it with."""

import numpy as np
import torch

from recollect.models.deeprec import DeepRec
from recollect.models.deeprec.network import Network

# The paper's activation, and nothing that a statement by hand would have to repeat.
PLAIN = {
    "activation": "selu",
    "offsets": False,
    "input_dropout": 0.0,
    "reg": 0.0,
    "optimizer": "sgd",
    "learning_rate": 0.005,
    "refit": False,
}


def network(n: int, **settings) -> Network:
    return DeepRec(**{**PLAIN, **settings}).recipe.network(n, (1.0, 5.0))


def unbuilt(ratings, **settings) -> DeepRec:
    """A model that has its ratings, and no network yet."""
    plain = {**PLAIN, "hidden": (3, 2), "dropout": 0.0, "batch_size": 100}
    model = DeepRec(**{**plain, **settings})
    model.given_ = ratings
    return model


def unfitted(ratings, **settings) -> DeepRec:
    """A model with its network built and nothing learned."""
    model = unbuilt(ratings, **settings)
    torch.manual_seed(1)
    model.net_ = model.build(ratings.n_users, ratings.n_items)
    return model


def f_numpy(name: str, x: np.ndarray) -> np.ndarray:
    """The activations, as their papers write them."""
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    with np.errstate(over="ignore"):
        return {
            "identity": x,
            "sigmoid": 1 / (1 + np.exp(-x)),
            "tanh": np.tanh(x),
            "relu": np.maximum(x, 0),
            "relu6": np.clip(x, 0, 6),
            "lrelu": np.where(x > 0, x, 0.01 * x),
            "elu": np.where(x > 0, x, np.exp(x) - 1),
            "selu": scale * np.where(x > 0, x, alpha * (np.exp(x) - 1)),
            "swish": x / (1 + np.exp(-x)),
        }[name]


def dense_forward(
    net: Network, rows: np.ndarray, name: str, *, last: bool, tied: bool = False
) -> np.ndarray:
    """The whole network on whole rows, in NumPy."""
    p = {k: v.detach().double().numpy() for k, v in net.state_dict().items()}
    x = f_numpy(name, rows @ p["input.weight"] + p["input.bias"])
    x = f_numpy(name, x @ p["encoder.0.weight"].T + p["encoder.0.bias"])
    back = p["encoder.0.weight"] if tied else p["decoder.0.weight"].T
    x = f_numpy(name, x @ back + p["decoder.0.bias"])
    x = x @ (p["input.weight"] if tied else p["output.weight"]).T + p["output.bias"]
    return f_numpy(name, x) if last else x


class DeepByHand:
    """Layers W, b with tanh between them, in plain NumPy, and SGD with momentum."""

    def __init__(self, net: Network) -> None:
        inner = [*net.encoder, *net.decoder]
        weights = [net.input.weight.t(), *(layer.weight for layer in inner), net.output.weight]
        biases = [layer.bias for layer in (net.input, *inner, net.output)]
        self.W = [W.detach().double().numpy().copy() for W in weights]
        self.b = [b.detach().double().numpy().copy() for b in biases]
        self.speed = [np.zeros_like(x) for x in (*self.W, *self.b)]

    def forward(self, x: np.ndarray) -> list[np.ndarray]:
        """What enters each layer, and the output."""
        activations = [x]
        for W, b in zip(self.W, self.b, strict=True):
            z = activations[-1] @ W.T + b
            activations.append(np.tanh(z))
        return [*activations[:-1], z]

    def step(self, activations: list[np.ndarray], delta: np.ndarray, *, rate: float) -> None:
        """A step on a loss whose derivative by the output is delta."""
        of_W, of_b = [], []
        for W, h in zip(reversed(self.W), reversed(activations[:-1]), strict=True):
            of_W.insert(0, delta.T @ h)
            of_b.insert(0, delta.sum(axis=0))
            delta = (delta @ W) * (1 - h**2)
        for x, v, g in zip((*self.W, *self.b), self.speed, (*of_W, *of_b), strict=True):
            v[...] = 0.9 * v + g
            x -= rate * v
