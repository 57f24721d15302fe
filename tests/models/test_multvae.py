"""Mult-VAE: loss and divergence beside plain NumPy, the schedule, planted groups, resumed fits."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.events import as_matrix, events_in_groups, ndcg

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.errors import DataError, SettingError
from recollect.kernels import Block
from recollect.memory_estimate import Shape
from recollect.models.multvae import MultVAE, divergence
from recollect.models.multvae.model import QUICK
from recollect.models.multvae.schedule import Schedule, Turn
from recollect.registry import make
from recollect.run import Run

DENSE = {"hidden": (16, 16, 16), "activation": "swish", "dense": True}
RECVAE = {**DENSE, "decoder": (), "prior": "composite", "gamma": 0.005, "encoder_epochs": 3}
CHANGES = [
    {},
    {"hidden": (16, 8), "counts": "log", "normalize": False, "reg": 0.5},
    {"gamma": 0.005},
    {"prior": "composite"},
    {"encoder_epochs": 3},
    DENSE,
    {**RECVAE, "epochs": 60},
]
VARIANTS = [*CHANGES[1:], {"refit": True}]
RUN = Run(seed=2, threads=1)


@pytest.fixture(scope="module")
def groups() -> rc.Split:
    return rc.random_split(events_in_groups(), test=0.2, valid=0.1, seed=0)


def started(events: Ratings, **changes) -> MultVAE:
    """A model with random weights that has begun to learn."""
    model = MultVAE(**{**QUICK, "hidden": 5, "factors": 3, **changes})
    model.given_ = events
    torch.manual_seed(1)
    model.net_ = model.build(events.n_users, events.n_items)
    model.net_.start(keep_encoder=model.prior == "composite")
    return model


def weights_of(model: MultVAE) -> dict[str, np.ndarray]:
    state = model.net_.state_dict()
    return {name: x.detach().double().numpy() for name, x in state.items()}


def layer_norm(x: np.ndarray, p: dict[str, np.ndarray], name: str) -> np.ndarray:
    centered = x - x.mean(axis=1, keepdims=True)
    scaled = centered / np.sqrt(x.var(axis=1, keepdims=True) + 0.1)
    return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]


def posterior_by_hand(x: np.ndarray, p: dict[str, np.ndarray], *, of: str = "encoder"):
    """μ and log σ² of a plain encoder with one hidden layer of tanh."""
    h = np.tanh(x @ p[f"{of}.input.weight"] + p[f"{of}.input.bias"])
    return tuple(
        h @ p[f"{of}.{head}.weight"].T + p[f"{of}.{head}.bias"] for head in ("mean", "log_variance")
    )


def log_density(z: np.ndarray, mean, variance) -> np.ndarray:
    """log N(z; μ, σ²) of each coordinate."""
    return -0.5 * np.log(2 * np.pi * variance) - (z - mean) ** 2 / (2 * variance)


def composite(z: np.ndarray, old_mean: np.ndarray, old_variance: np.ndarray) -> np.ndarray:
    """The prior's density of each coordinate: 0.15 standard, 0.75 old, 0.1 wide."""
    return (
        0.15 * np.exp(log_density(z, 0, 1))
        + 0.75 * np.exp(log_density(z, old_mean, old_variance))
        + 0.1 * np.exp(log_density(z, 0, np.exp(10)))
    )


def statement(model: MultVAE, x: np.ndarray, noise: np.ndarray, weight: np.ndarray) -> float:
    """Equation 6 for rows of counts x, in plain NumPy."""
    p = weights_of(model)
    rows = x / np.linalg.norm(x, axis=1, keepdims=True) if model.normalize else x
    mean, log_variance = posterior_by_hand(rows, p)
    z = mean + np.exp(log_variance / 2) * noise
    hidden = np.tanh(z @ p["decoder.0.weight"].T + p["decoder.0.bias"])
    out = hidden @ p["output.weight"].T + p["output.bias"]
    log_pi = out - np.log(np.exp(out).sum(axis=1, keepdims=True))
    if model.prior == "normal":
        kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
    else:
        old_mean, old_log_variance = posterior_by_hand(rows, p, of="progress.old")
        log_q = log_density(z, mean, np.exp(log_variance))
        log_p = np.log(composite(z, old_mean, np.exp(old_log_variance)))
        kl = (log_q - log_p).sum(axis=1)

    return float(-(x * log_pi).sum() + (weight * kl).sum())


@pytest.mark.parametrize(
    ("counts", "transform"), [("plain", np.array), ("log", np.log1p), ("binary", np.sign)]
)
@pytest.mark.parametrize(
    "changes", [{}, {"normalize": False}, {"gamma": 0.3}, {"prior": "composite", "gamma": 0.3}]
)
def test_the_loss_is_equation_6(groups, counts, transform, changes):
    model = started(groups.train, counts=counts, input_dropout=0.0, **changes)
    if model.prior == "composite":  # other than the encoder
        with torch.no_grad():
            model.net_.encoder.input.weight += 0.1

    x = transform(as_matrix(groups.train, counts=True))[:20]
    rows = model.block(groups.train.by_user.take(np.arange(20)))
    weight = 0.3 * x.sum(axis=1) if model.gamma else np.full(20, 0.2)
    torch.manual_seed(5)
    noise = torch.randn(20, 3).double().numpy()
    torch.manual_seed(5)
    total, n = model.step(Schedule(batches=4, encoder_epochs=0, anneal_steps=0), model.net_, rows)
    if model.prior == "composite":  # the step has copied the encoder
        assert float(model.net_.progress.old.input.weight.sum()) == pytest.approx(
            float(model.net_.encoder.input.weight.detach().sum())
        )

    assert n == (x > 0).sum()
    assert float(total.detach()) == pytest.approx(statement(model, x, noise, weight), rel=1e-5)


def test_the_kl_to_the_standard_normal_is_the_mean_of_many_draws():
    random = np.random.default_rng(0)
    mean, log_variance = random.normal(size=(2, 4, 3))
    z = mean + np.exp(log_variance / 2) * random.normal(size=(200_000, 4, 3))
    draws = log_density(z, mean, np.exp(log_variance)) - log_density(z, 0, 1)
    kl = divergence.kl_to_standard(torch.tensor(mean), torch.tensor(log_variance))
    # The standard error of the mean of so many draws is below 0.01.
    np.testing.assert_allclose(kl, draws.sum(axis=2).mean(axis=0), atol=0.04)


def test_the_composite_prior_is_the_mixture_of_three_normals():
    random = np.random.default_rng(1)
    z, old_mean, old_log_variance = random.normal(size=(3, 6, 4)) * 2
    ours = divergence.log_composite(*map(torch.tensor, (z, old_mean, old_log_variance)))
    expected = np.log(composite(z, old_mean, np.exp(old_log_variance)))
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_the_composite_prior_is_a_density():
    """Its integral is 1; the wide normal has a standard deviation of 148."""
    z = np.linspace(-1500, 1500, 600_001)
    old = np.full((1, len(z)), 0.7)
    log_density = divergence.log_composite(*map(torch.tensor, (z[None], old, -old)))
    density = log_density.exp()
    assert float(density.sum() * (z[1] - z[0])) == pytest.approx(1, abs=1e-6)


def test_a_dense_encoder_adds_up_all_layers_before(groups):
    model = started(groups.train, hidden=(5, 5, 5), activation="swish", dense=True)
    p = weights_of(model)
    x = as_matrix(groups.train)[:7]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)

    def swish(a):
        return a / (1 + np.exp(-a))

    h1 = layer_norm(
        swish(x @ p["encoder.input.weight"] + p["encoder.input.bias"]), p, "encoder.norms.0"
    )
    second = h1 @ p["encoder.layers.0.weight"].T + p["encoder.layers.0.bias"] + h1
    h2 = layer_norm(swish(second), p, "encoder.norms.1")
    third = h2 @ p["encoder.layers.1.weight"].T + p["encoder.layers.1.bias"] + h1 + h2
    h3 = layer_norm(swish(third), p, "encoder.norms.2")
    expected = h3 @ p["encoder.mean.weight"].T + p["encoder.mean.bias"]
    mean, _ = model.net_.posterior(model.block(groups.train.by_user.take(np.arange(7))))
    np.testing.assert_allclose(mean.detach(), expected, atol=1e-5)


def test_the_kl_is_annealed_linearly():
    schedule = Schedule(batches=3, encoder_epochs=0, anneal_steps=8)
    assert [schedule.annealed(step) for step in (0, 1, 4, 8, 9)] == [0, 0.125, 0.5, 1, 1]
    assert Schedule(batches=3, encoder_epochs=0, anneal_steps=0).annealed(0) == 1


def test_the_annealed_weight_is_that_of_the_step(groups):
    """Halfway to the full weight, the loss has half of the KL."""
    model = started(groups.train, input_dropout=0.0)
    rows = model.block(groups.train.by_user)
    losses = []
    for anneal_steps in (0, 20, 40):
        model.net_.progress.steps.fill_(10)
        torch.manual_seed(3)
        schedule = Schedule(batches=4, encoder_epochs=0, anneal_steps=anneal_steps)
        losses.append(float(model.step(schedule, model.net_, rows)[0].detach()))

    full, half, quarter = losses
    assert full - half == pytest.approx(2 * (half - quarter), rel=1e-2)
    assert full - half > 0.1


def test_passes_train_the_encoder_then_the_decoder():
    """Two steps a pass, two passes of the encoder a turn."""
    schedule = Schedule(batches=2, encoder_epochs=2, anneal_steps=0)
    encoder = Turn(encoder=True, decoder=False, copies=False)
    decoder = Turn(encoder=False, decoder=True, copies=False)
    turn = [*[encoder] * 4, dataclasses.replace(decoder, copies=True), decoder]
    assert [schedule.turn(step) for step in range(12)] == [*turn, *turn]


def test_without_turns_the_encoder_is_copied_once_a_pass():
    schedule = Schedule(batches=3, encoder_epochs=0, anneal_steps=0)
    turns = [schedule.turn(step) for step in range(6)]
    assert [turn.copies for turn in turns] == [True, False, False] * 2
    assert all(turn.encoder and turn.decoder for turn in turns)


@pytest.mark.parametrize(("epochs", "moves_decoder"), [(2, False), (3, True)])
def test_a_pass_changes_its_part_only(groups, epochs, moves_decoder):
    """After two passes of the encoder the decoder is as it began; the third is the decoder's."""
    settings = {**QUICK, "encoder_epochs": 2, "patience": None}
    one = MultVAE(**{**settings, "epochs": 0}).fit(groups.train, run=RUN)
    two = MultVAE(**{**settings, "epochs": epochs}).fit(groups.train, run=RUN)
    before = MultVAE(**{**settings, "epochs": 2}).fit(groups.train, run=RUN)
    start, end, middle = (m.net_.state_dict() for m in (one, two, before))
    assert not torch.equal(start["encoder.mean.weight"], end["encoder.mean.weight"])
    assert torch.equal(middle["encoder.mean.weight"], end["encoder.mean.weight"])
    assert torch.equal(start["output.weight"], end["output.weight"]) is not moves_decoder
    assert torch.equal(start["decoder.0.weight"], end["decoder.0.weight"]) is not moves_decoder


def test_the_decoders_pass_drops_no_input(groups, monkeypatch):
    shares = []
    posterior = MultVAE.loss

    def seen(self, net, rows, weight, turn):
        original = net.encoder.forward

        def forward(rows, value, drop=0.0):
            shares.append(drop)
            return original(rows, value, drop)

        monkeypatch.setattr(net.encoder, "forward", forward)
        result = posterior(self, net, rows, weight, turn)
        monkeypatch.setattr(net.encoder, "forward", original)
        return result

    monkeypatch.setattr(MultVAE, "loss", seen)
    settings = {**QUICK, "encoder_epochs": 2, "epochs": 3, "batch_size": 100}
    MultVAE(**settings).fit(groups.train, run=RUN)
    assert shares == [0.3, 0.3, 0.0]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_planted_groups_are_found(groups, changes):
    """Popularity knows nothing here: all items of all groups are about equally popular."""
    model = make("multvae", **{**QUICK, **changes}).fit(groups.train, groups.valid, RUN)
    popular = make("popularity").fit(groups.train)
    assert ndcg(popular, groups.test) < 0.06
    assert ndcg(model, groups.test) > 0.19


def test_the_preset_of_recvae_finds_them_too(groups):
    """With its five layers, in small."""
    small = {"hidden": (16,) * 5, "factors": 6, "batch_size": 20, "learning_rate": 0.01}
    model = make("multvae", like="recvae", **small, epochs=60).fit(groups.train, groups.valid, RUN)
    assert len(model.net_.encoder.norms) == 5
    assert ndcg(model, groups.test) > 0.19


def test_a_user_is_shown_items_of_their_group(groups):
    model = MultVAE(**QUICK).fit(groups.train, groups.valid, RUN)
    shown = rc.top_n(model, user_ids=["u4"], n=8)
    assert sum(int(item[1:]) % 3 == 1 for item in shown["item_id"]) >= 7
    new = rc.top_n(model, events=["i2", "i5", "i8"], n=8)
    assert sum(int(item[1:]) % 3 == 2 for item in new["item_id"]) >= 7


def test_a_new_user_is_one_pass_of_the_mean(groups):
    """Known or new, the same events give the same scores, and nothing is drawn."""
    model = MultVAE(**{**QUICK, "epochs": 3}).fit(groups.train, run=RUN)
    rows = groups.train.by_user.take(np.arange(6))
    p = weights_of(model)
    x = as_matrix(groups.train)[:6]
    mean, _ = posterior_by_hand(x / np.linalg.norm(x, axis=1, keepdims=True), p)
    hidden = np.tanh(mean @ p["decoder.0.weight"].T + p["decoder.0.bias"])
    expected = hidden @ p["output.weight"].T + p["output.bias"]
    np.testing.assert_allclose(model.fold_in(rows), expected, atol=1e-4)
    np.testing.assert_array_equal(model.fold_in(rows), model.scores(np.arange(6), model.given_))


@pytest.mark.parametrize("changes", [{}, RECVAE], ids=str)
def test_a_reloaded_model_answers_the_same(groups, changes, tmp_path):
    """What only training needs is not kept."""
    model = MultVAE(**{**QUICK, **changes, "epochs": 4}).fit(groups.train, groups.valid, RUN)
    assert not [name for name in model.net_.state_dict() if name.startswith("progress")]
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    user = np.arange(20)
    np.testing.assert_array_equal(
        loaded.scores(user, loaded.given_), model.scores(user, model.given_)
    )


class StopFitError(Exception):
    """Raised in the middle of a fit."""


@pytest.mark.parametrize("changes", [{}, RECVAE], ids=str)
def test_a_resumed_fit_ends_as_if_nothing_had_happened(groups, changes, tmp_path):
    """In the middle of a turn, with β still rising."""
    settings = {**QUICK, **changes, "epochs": 11, "patience": None, "anneal_steps": 40}
    whole = MultVAE(**settings).fit(groups.train, groups.valid, RUN)

    def interrupt(figures):
        if figures["epoch"] == 7:
            raise StopFitError

    run = dataclasses.replace(RUN, folder=tmp_path / "run", snapshot_seconds=0)
    with pytest.raises(StopFitError):
        MultVAE(**settings).fit(
            groups.train, groups.valid, dataclasses.replace(run, watchers=(interrupt,))
        )

    resumed = MultVAE(**settings).fit(
        groups.train, groups.valid, dataclasses.replace(run, resume=True)
    )
    assert len(resumed.history_) == 11
    for name, tensor in whole.net_.state_dict().items():
        assert torch.equal(resumed.net_.state_dict()[name], tensor), name


def test_the_fit_is_stopped_by_the_ndcg_of_the_validation_events(groups):
    model = MultVAE(**{**QUICK, "valid_n": 5, "patience": 3}).fit(groups.train, groups.valid, RUN)
    history = model.history_
    assert history.best_valid == max(figure for _, figure in history.column("valid_ndcg@5"))
    assert ndcg(model, groups.valid) == pytest.approx(history.best_valid, abs=1e-9)


@pytest.mark.parametrize(("n_valid", "copies"), [(0, 1), (50, 2)])
def test_the_old_encoder_is_in_the_memory_estimate_to_the_byte(groups, n_valid, copies):
    """With validation the best weights have a copy."""
    shape = dataclasses.replace(Shape.of(groups.train), n_valid=n_valid)
    model = started(groups.train, prior="composite", hidden=16, factors=6)
    estimated = MultVAE(**QUICK, prior="composite").memory(shape).host["old encoder"]
    n_bytes = sum(4 * buffer.numel() for buffer in model.net_.progress.old.buffers())
    assert estimated == copies * n_bytes
    assert "old encoder" not in MultVAE(**QUICK).memory(shape).host


def test_the_optimizer_keeps_nothing_for_the_old_encoder(groups):
    plain = started(groups.train)
    composite_one = started(groups.train, prior="composite")
    counts = [sum(p.numel() for p in m.net_.parameters()) for m in (plain, composite_one)]
    assert counts[0] == counts[1]


def test_lambda_draws_the_weights_to_zero(groups):
    free, drawn = (
        MultVAE(**{**QUICK, "reg": reg}).fit(groups.train, run=RUN) for reg in (0.0, 30.0)
    )
    size = free.net_.output.weight.detach().norm()
    assert drawn.net_.output.weight.detach().norm() < 0.7 * size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": "item"}, "multvae is on users' rows .* needs side='user'; leave side out"),
        ({"center": True}, "leave center out"),
        ({"dense": True, "hidden": (5, 4)}, r"one size; found hidden=\(5, 4\)"),
        ({"gamma": 0.1, "beta": 0.3}, "gamma=0.1 takes the place of beta, found beta=0.3"),
        ({"hidden": ()}, "hidden is one or more sizes"),
        ({"prior": "wide"}, "composite"),
        ({"optimizer": "lbfgs"}, "adam"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        MultVAE(**settings)


def test_ratings_are_refused(planted_small):
    with pytest.raises(DataError, match="events"):
        MultVAE(**QUICK).fit(planted_small.ratings)


def test_a_row_without_events_has_scores(groups):
    """Of new users, one may have no event at all."""
    model = MultVAE(**{**QUICK, "epochs": 2}).fit(groups.train, run=RUN)
    empty = groups.train.by_user.take(np.array([-1]))
    assert np.isfinite(model.fold_in(empty)).all()


def test_row_sums_are_those_of_the_cells(groups):
    from recollect.families.event_rows import row_sums

    rows = Block.of(groups.train.by_user, torch.device("cpu"))
    np.testing.assert_allclose(
        row_sums(rows, rows.value), as_matrix(groups.train, counts=True).sum(axis=1)
    )
