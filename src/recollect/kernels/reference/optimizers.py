"""One step of each optimizer, and the direction of L-BFGS, as the papers write them.

Every step takes arrays and returns new ones: the parameter first, then the optimizer's state.
"""

import numpy as np


def adam(
    parameter: np.ndarray,
    gradient: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    *,
    step: int,
    learning_rate: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """θ − η · m̂ / (√v̂ + ε), and the moments m and v.

    Args:
        parameter: θ.
        gradient: g, of the same shape, as all that follow.
        mean: m, the running mean of the gradient.
        square: v, the running mean of the squared gradient.
        step: t, counted from 1.
        learning_rate: η.
        betas: β₁ and β₂, how much of each moment a step keeps.
        epsilon: ε, added to the root.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.
    """
    beta1, beta2 = betas
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient**2

    # The moments begin at 0 and would be too small in the first steps.
    corrected_mean = mean / (1 - beta1**step)
    corrected_square = square / (1 - beta2**step)
    root = np.sqrt(corrected_square) + epsilon
    parameter = parameter - learning_rate * corrected_mean / root

    return parameter, mean, square


def rmsprop(
    parameter: np.ndarray,
    gradient: np.ndarray,
    square: np.ndarray,
    *,
    learning_rate: float = 0.001,
    decay: float = 0.9,
    epsilon: float = 1e-7,
    inside: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """θ − η · g / (√v + ε), or θ − η · g / √(v + ε); and v.

    Where |g| is far below √ε, the second is about η · g / √ε, a step as small as the gradient,
    while the first has length η whatever the gradient.

    Args:
        parameter: θ.
        gradient: g, of the same shape, as all that follow.
        square: v, the running mean of the squared gradient.
        learning_rate: η.
        decay: how much of v a step keeps.
        epsilon: ε.
        inside: whether ε stands under the root.

    Source: Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012.
    """
    square = decay * square + (1 - decay) * gradient**2
    root = np.sqrt(square + epsilon) if inside else np.sqrt(square) + epsilon
    parameter = parameter - learning_rate * gradient / root

    return parameter, square


def sgd(
    parameter: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray,
    *,
    learning_rate: float,
    momentum: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient descent with momentum: θ − η · u, and u = μ u + g.

    Args:
        parameter: θ.
        gradient: g, of the same shape, as all that follow.
        velocity: u, a decaying sum of gradients.
        learning_rate: η.
        momentum: μ, how much of u a step keeps.
    """
    velocity = momentum * velocity + gradient
    parameter = parameter - learning_rate * velocity
    return parameter, velocity


def rprop(
    parameter: np.ndarray,
    gradient: np.ndarray,
    previous: np.ndarray,
    size: np.ndarray,
    *,
    etas: tuple[float, float] = (0.5, 1.2),
    limits: tuple[float, float] = (1e-8, 1.0),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """θ − Δ · sign(g), the gradient to compare the next one with, and Δ.

    Δ grows where g keeps its sign and shrinks where it changes; where it changed, θ does not move
    and the next gradient counts as one without a predecessor.

    Args:
        parameter: θ.
        gradient: g, of the same shape, as all that follow.
        previous: the gradient of the step before; 0 where it changed its sign in that step.
        size: Δ, the size of the next step.
        etas: the factors by which Δ shrinks and grows.
        limits: the smallest and largest Δ.

    Source: Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The
    RPROP Algorithm", ICNN 1993, without its backtracking.
    """
    agreement = gradient * previous
    has_turned = agreement < 0
    # Neither where one of the two gradients is 0: the size stays.
    factor = np.ones_like(size)
    factor[has_turned] = etas[0]
    factor[agreement > 0] = etas[1]
    size = np.clip(size * factor, *limits)
    # A minimum was passed over: wait for the next gradient.
    gradient = np.where(has_turned, 0.0, gradient)
    parameter = parameter - size * np.sign(gradient)

    return parameter, gradient, size


def lbfgs_direction(
    gradient: np.ndarray, steps: list[np.ndarray], changes: list[np.ndarray]
) -> np.ndarray:
    """−H g, H being the inverse Hessian that pairs of steps and gradient changes suggest.

    Args:
        gradient: g, one axis.
        steps: s of each pair, oldest first: the parameter after an iteration less that before.
        changes: y of each pair: the gradient after an iteration less that before.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithm 7.4 and equation
    7.20.
    """
    q = gradient.copy()
    alphas = []

    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        alpha = (s @ q) / (s @ y)
        q = q - alpha * y
        alphas.append(alpha)

    if steps:
        # The recursion starts from a multiple of the identity: equation 7.20.
        s = steps[-1]
        y = changes[-1]
        q = q * (s @ y) / (y @ y)

    for s, y, alpha in zip(steps, changes, reversed(alphas), strict=True):
        beta = (y @ q) / (s @ y)
        q = q + (alpha - beta) * s

    return -q
