"""DeepRec for ratings: published sizes, equations in NumPy, dropout, refused settings."""

import copy
import logging

import numpy as np
import pytest
import torch
from tests.dense import rating_matrix
from tests.models.deeprec_by_hand import dense_forward, f_numpy, network, unfitted

import recollect as rc
from recollect.errors import SettingError, TrainingError
from recollect.models.deeprec import DeepRec
from recollect.models.deeprec.network import Network
from recollect.nn import ACTIVATIONS
from recollect.run import Run
from recollect.settings import changed

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"side": "item", "refit": True},
    {"center": True},
    {"center": True, "tied": True, "refeed": 1},
    {"center": True, "refeed": 2, "refeed_target": "input", "refit": True},
    {
        "center": True,
        "last_activation": True,
        "activation": "lrelu",
        "refeed": 1,
        "refeed_share": 0.5,
    },
    {"loss": "weighted", "activation": "tanh", "refit": False, "epochs": 15},
    {"loss": "logistic", "activation": "tanh", "refit": True, "epochs": 15},
    {"loss": "multinomial", "activation": "tanh", "refit": False, "epochs": 15},
]


@pytest.mark.parametrize(
    ("layers", "numbers"),
    [
        (2, 4_566_504),
        (4, 4_599_528),
        (6, 4_632_552),
        (8, 4_665_576),
        (10, 4_698_600),
        (12, 4_731_624),
    ],
)
def test_as_many_parameters_as_published(layers, numbers):
    """The depth table of the paper: n = 17,768 columns, layers of 128."""
    with torch.device("meta"):
        net = network(17_768, hidden=(128,) * (layers // 2))
    assert sum(p.numel() for p in net.parameters()) == numbers


def test_tied_weights_are_stored_once():
    free, tied = network(50, hidden=(8, 4)), network(50, hidden=(8, 4), tied=True)
    assert sum(p.numel() for p in free.parameters()) == 2 * (50 * 8 + 8 * 4) + 8 + 4 + 8 + 50
    assert sum(p.numel() for p in tied.parameters()) == 50 * 8 + 8 * 4 + 8 + 4 + 8 + 50
    assert tied.output.weight is tied.input.weight
    assert set(tied.state_dict()) == {
        "input.weight",
        "input.bias",
        "encoder.0.weight",
        "encoder.0.bias",
        "decoder.0.bias",
        "output.bias",
    }


def test_the_decoder_mirrors_the_encoder_unless_given():
    assert DeepRec(hidden=(512, 512, 1024)).encoder_and_decoder == ((512, 512, 1024), (512, 512))
    assert DeepRec(hidden=16).encoder_and_decoder == ((16,), ())
    assert (
        DeepRec(hidden=(16, 4), decoder=(7,)).encoder_and_decoder
        == DeepRec(hidden=(16, 4), decoder=7).encoder_and_decoder
        == ((16, 4), (7,))
    )
    assert network(9, hidden=(5, 4), decoder=(7, 6)).output.weight.shape == (9, 6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_their_papers(name):
    x = np.linspace(-4, 8, 49)
    np.testing.assert_allclose(
        ACTIVATIONS[name]()(torch.tensor(x)), f_numpy(name, x), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_is_the_masked_squared_error(few, last, tied):
    """Over the ratings that are there, one of them 0; not over the cells that are not."""
    model = unfitted(few, last_activation=last, tied=tied)
    rows, known = rating_matrix(few)
    total, count = next(iter(model.recipe.steps(model.net_, model.block(few.by_user))))
    out = dense_forward(model.net_, rows, "selu", last=last, tied=tied)
    assert count == len(few) == known.sum()
    assert float(total.detach()) == pytest.approx(((out - rows)[known] ** 2).sum(), rel=1e-5)


def test_with_offsets_each_rows_is_added_to_what_the_network_gives(few):
    model = unfitted(few, offsets=True)
    net = model.net_
    net.offsets.set(2.5, torch.linspace(-1, 1, 4))
    rows, known = rating_matrix(few)
    residual = np.where(known, rows - 2.5 - np.linspace(-1, 1, 4), 0)
    offset = 2.5 + residual.sum(axis=1) / (known.sum(axis=1) + net.offsets.reg)
    out = dense_forward(net, rows, "selu", last=False) + offset[:, None]
    total, count = next(iter(model.recipe.steps(net, model.block(few.by_user))))
    assert count == len(few)
    assert float(total.detach()) == pytest.approx(((out - rows)[known] ** 2).sum(), rel=1e-5)
    np.testing.assert_allclose(model.complete(few.by_user), out, rtol=1e-5)


def test_a_fit_with_offsets_starts_at_the_bias_model(planted_small):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    model = DeepRec(hidden=(8, 4), epochs=0, refit=False).fit(split.train, split.valid)
    bias = rc.make("bias").fit(split.train)
    pairs = (split.test.user, split.test.item)
    np.testing.assert_allclose(model.predict(*pairs), bias.predict(*pairs), atol=1e-4)


def test_what_was_filled_in_is_no_difference_from_the_defaults():
    assert changed(DeepRec()) == {}
    assert changed(DeepRec(loss="multinomial")) == {"loss": "multinomial"}
    assert changed(DeepRec(reg=400.0, hidden=600)) == {"hidden": 600}
    assert changed(DeepRec(loss="logistic", reg=400.0)) == {"loss": "logistic", "reg": 400.0}


NO_OFFSETS = [
    {"loss": "multinomial"},
    {"refeed": 1},
    {"center": True},
    {"tied": True},
    {"last_activation": True},
]


@pytest.mark.parametrize("settings", NO_OFFSETS, ids=str)
def test_offsets_are_added_to_what_a_free_linear_layer_gives(settings):
    with pytest.raises(SettingError, match="offsets=True needs"):
        DeepRec(offsets=True, **settings)
    assert not DeepRec(**settings).has_offsets
    assert DeepRec().has_offsets


def test_gradients_equal_differences_of_the_dense_statement(few):
    """Every parameter's gradient, the last one's by hand too."""
    model = unfitted(few, activation="tanh")
    net = model.net_.double()
    rows, known = rating_matrix(few)
    block = model.block(few.by_user)
    block.value = block.value.double()

    def value() -> float:
        return float(((dense_forward(net, rows, "tanh", last=False) - rows)[known] ** 2).sum())

    net.decode(net.encode(block).double(), at=None)  # dense outputs are the same function
    hidden = net.encode(block)
    error = (net.decode(hidden) - torch.tensor(rows))[torch.tensor(known)]
    (error @ error).backward()
    for p in net.parameters():
        flat, grad = p.detach().view(-1), p.grad.view(-1)
        for j in (0, len(flat) // 2, len(flat) - 1):
            before = float(flat[j])
            ends = []
            for step in (1e-6, -1e-6):
                flat[j] = before + step
                ends.append(value())
            flat[j] = before
            assert float(grad[j]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_of_the_loss_equal_differences_of_its_dense_statement(few, tied):
    """The loss that is trained on, at observed cells; a tied weight gets both layers' parts."""
    model = unfitted(few, activation="tanh", tied=tied)
    net = model.net_
    rows, known = rating_matrix(few)
    loss, _ = next(iter(model.recipe.steps(net, model.block(few.by_user))))
    loss.backward()
    precise = copy.deepcopy(net).double()

    def value() -> float:
        out = dense_forward(precise, rows, "tanh", last=False, tied=tied)
        return float(((out - rows)[known] ** 2).sum())

    for parameter, twin in zip(net.parameters(), precise.parameters(), strict=True):
        gradient = parameter.grad.reshape(-1)
        flat = twin.detach().view(-1)
        for j in range(len(flat)):
            before = float(flat[j])
            flat[j] = before + 1e-5
            above = value()
            flat[j] = before - 1e-5
            slope = (above - value()) / 2e-5
            flat[j] = before
            # Gradients are computed in 32 bits.
            assert float(gradient[j]) == pytest.approx(slope, rel=1e-4, abs=1e-4)


def inputs_of_layers(net: Network, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """What enters the layer after the first one, the one after the code, and the last one."""
    seen = {}
    layers = {"first": net.encoder[0], "code": net.decoder[0], "last": net.output}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, x, name=name: seen.update({name: x[0]}))
    net.decode(net.encode_dense(rows))
    return seen


def test_hidden_dropout_is_on_every_hidden_layer_but_the_code():
    net = network(40, hidden=(1000, 900), dropout=0.0, hidden_dropout=0.3).train()
    seen = inputs_of_layers(net, torch.randn(50, 40))
    assert not bool((seen["code"] == 0).any())
    for name in ("first", "last"):
        # 50,000 numbers: five standard errors.
        assert float((seen[name] == 0).float().mean()) == pytest.approx(0.3, abs=0.0103)


def test_hidden_dropout_keeps_the_mean_and_ends_with_training():
    net = network(40, hidden=(1000, 900), dropout=0.0, hidden_dropout=0.3)
    rows = torch.randn(50, 40)
    whole = inputs_of_layers(net.eval(), rows)["first"]
    dropped = inputs_of_layers(net.train(), rows)["first"]
    assert not bool((whole == 0).any())
    is_kept = dropped != 0
    torch.testing.assert_close(dropped[is_kept], whole[is_kept] / 0.7)


def test_dropout_is_on_the_code_alone():
    net = network(40, hidden=(30, 1000), dropout=0.8).train()
    seen = {}
    for name, layer in (("code", net.encoder[0]), ("before", net.decoder[0])):
        layer.register_forward_pre_hook(lambda _, x, name=name: seen.update({name: x[0]}))
    net.encode_dense(torch.randn(50, 40))
    assert float((seen["before"] == 0).float().mean()) == pytest.approx(
        0.8, abs=0.02
    )  # what the decoder is given
    assert not bool((seen["code"] == 0).any())  # what the code is made from


def test_the_learning_rate_falls_at_the_milestones(few):
    model = DeepRec(hidden=2, epochs=5, milestones=(2, 4), learning_rate=0.01).fit(few)
    assert [rate for _, rate in model.history_.column("learning_rate")] == [
        0.01,
        0.005,
        0.005,
        0.0025,
        0.0025,
    ]


def test_a_fit_that_diverges_keeps_its_best_weights(planted_small, caplog):
    """Good for some epochs, then a learning rate that is far too large."""
    train, valid, test = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    settings = {
        "hidden": (8, 4),
        "refeed": 1,
        "dropout": 0.0,
        "batch_size": 20,
        "learning_rate": 0.02,
    }
    with caplog.at_level(logging.WARNING, "recollect"):
        model = DeepRec(**settings, epochs=30, milestones=(9,), decay=1e6).fit(train, valid)
    good = DeepRec(**settings, epochs=8).fit(train, valid)
    for text in (model.history_.stopped, caplog.text):
        assert "in epoch 9" in text
        assert "lower learning_rate" in text
        assert "narrow" in text
        assert f"weights of epoch {model.history_.best_epoch}" in text
    assert model.history_.best_epoch == good.history_.best_epoch
    np.testing.assert_array_equal(
        model.predict(test.user, test.item), good.predict(test.user, test.item)
    )


def test_a_fit_that_diverges_at_once_is_an_error(planted_small, tmp_path):
    train, valid, _ = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    with pytest.raises(TrainingError, match=r"epoch 1.*Nothing had been learned"):
        DeepRec(hidden=(8, 4), dropout=0.0, learning_rate=1e6, batch_size=20, offsets=False).fit(
            train, valid, Run(folder=tmp_path)
        )


def test_without_validation_a_diverged_fit_keeps_its_snapshot(planted_small, tmp_path):
    settings = {
        "hidden": (8, 4),
        "dropout": 0.0,
        "batch_size": 20,
        "learning_rate": 0.02,
        "milestones": (9,),
        "decay": 1e6,
    }
    with pytest.raises(TrainingError, match=r"epoch 9.*No weights were kept"):
        DeepRec(**settings, epochs=30).fit(planted_small.ratings)
    model = DeepRec(**settings, epochs=30).fit(
        planted_small.ratings, run=Run(folder=tmp_path, snapshot_seconds=0)
    )
    assert model.history_.best_epoch == 8
    assert "epoch 8" in model.history_.stopped


@pytest.mark.slow
def test_mixed_precision_learns_the_same(planted_small):
    """16-bit products: other roundings, the same model."""
    train, valid, test = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    recipe = {
        "hidden": (12, 16),
        "dropout": 0.2,
        "center": True,
        "optimizer": "adam",
        "learning_rate": 0.03,
        "batch_size": 40,
        "epochs": 20,
        "refeed": 1,
    }
    rmse = [
        rc.held_out(DeepRec(**recipe).fit(train, valid, Run(precision=p)), test)["rmse"]
        for p in ("32", "mixed")
    ]
    assert rmse[0] == pytest.approx(rmse[1], abs=0.03)
    assert rmse[0] != rmse[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": ()}, "sizes"),
        ({"activation": "selo"}, "selu"),
        ({"tied": True, "decoder": (3,)}, "mirrored"),
        ({"refeed_target": "both"}, "output"),
        ({"refeed_share": 0.0}, "refeed_share"),
        ({"optimizer": "lbfgs"}, "no optimizer 'lbfgs'"),
        ({"center": True, "last_activation": True}, "below 0"),
        ({"dropout": 1.0}, "below 1"),
        ({"reg": -1.0}, "reg"),
        ({"refeed_target": "input", "refeed_share": 0.5}, "leave it out"),
        ({"milestones": (3, 2)}, "milestones"),
        ({"optimizer": "rprop"}, "no optimizer 'rprop'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        DeepRec(**settings)
