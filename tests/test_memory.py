import dataclasses

import pytest
import torch

import recollect as rc
from recollect import memory_limits
from recollect.errors import SizeError
from recollect.memory_estimate import MB, Memory, Shape
from recollect.memory_limits import fitting, lacking
from recollect.models.autorec import AutoRec
from recollect.run import Run, peak_memory_mb
from recollect.system import processes
from recollect.system.available_memory import MemoryLimit

SMALL = Shape(n_users=6_040, n_items=3_706, n_train=950_000, n_valid=50_000)
NETFLIX = Shape(n_users=480_189, n_items=17_770, n_train=95_000_000, n_valid=5_000_000)
GB = 1024 * MB


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> MemoryLimit:
    """A machine of 12 GB."""
    there = MemoryLimit(12 * GB, "this machine")
    monkeypatch.setattr(memory_limits, "available", lambda: there)
    return there


@pytest.mark.parametrize("name", rc.model_names())
def test_every_model_predicts_its_memory_in_whole_bytes(name: str) -> None:
    model = rc.make(name)
    small, large = model.memory(SMALL), model.memory(NETFLIX)
    assert all(
        type(part) is int and part >= 0 for part in [*small.host.values(), *large.host.values()]
    )
    assert 300 * MB < small.peak < large.peak
    assert small.device == {}


@pytest.mark.parametrize("settings", [{}, {"side": "user"}, {"hidden": (12, 5, 9)}], ids=str)
def test_the_parameters_are_counted_to_the_byte(settings: dict, planted_small) -> None:
    train = planted_small.ratings
    model = AutoRec(**{"hidden": 7, "epochs": 1, **settings}).fit(train)
    assert model.memory(Shape.of(train)).host["parameters"] == sum(
        4 * p.numel() for p in model.net_.parameters()
    )


def test_an_optimizer_costs_what_it_keeps() -> None:
    def copies(**settings: object) -> float:
        parts = AutoRec(**settings).memory(SMALL).host
        return parts["optimizer"] / parts["parameters"]

    assert copies(history=4) == 6  # two gradients' worth and four pairs of 16-bit vectors
    assert copies(history=1) == 3
    assert copies(optimizer="adam") == 2
    assert copies(optimizer="sgd") == 1


def test_validation_and_a_second_fit_cost_more() -> None:
    alone = dataclasses.replace(SMALL, n_train=1_000_000, n_valid=0)
    once = AutoRec(refit=False).memory(SMALL)
    again = AutoRec(refit=True).memory(SMALL)
    assert AutoRec(refit=False).memory(alone).peak < once.peak < again.peak
    assert AutoRec(refit=True).memory(alone).peak == AutoRec(refit=False).memory(alone).peak


def test_on_a_gpu_the_network_is_there_and_the_data_are_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    there, here = AutoRec().memory(SMALL, Run(device="cuda")), AutoRec().memory(SMALL)
    assert there.device["parameters"] == here.host["parameters"]
    assert there.host["data"] == here.host["data"]
    assert "parameters" not in there.host


def fit_wide(n_users: int) -> tuple[float, float]:
    """Megabytes: predicted, and held by this process at most."""
    from recollect.data.sources.planted import planted
    from recollect.system.allocator import configure

    configure()
    torch.set_num_threads(1)
    ratings = planted(n_users, 100, 8_000, noise=0.5).ratings
    model = AutoRec(hidden=500, history=2, epochs=3).fit(ratings)
    return model.memory(Shape.of(ratings)).peak / MB, peak_memory_mb()


@pytest.mark.slow
def test_the_prediction_is_near_the_measured_peak() -> None:
    """Mostly copies of 8 million parameters; other versions of libraries differ by 100 MB."""
    (found,) = processes.run_each(fit_wide, [8_000], processes=1)
    predicted, measured = found
    assert measured > 600
    assert 0.8 < predicted / measured < 1.3


def test_a_fit_that_cannot_fit_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, planted_small
) -> None:
    built = []
    monkeypatch.setattr(AutoRec, "build", lambda *sizes: built.append(sizes))
    monkeypatch.setattr(memory_limits, "available", lambda: MemoryLimit(400 * MB, "this machine"))
    with pytest.raises(SizeError, match=r"would need .* MB \(libraries .*this machine has 400 MB"):
        AutoRec().fit(planted_small.ratings)
    assert built == []


def test_the_check_can_be_left_out(monkeypatch: pytest.MonkeyPatch, planted_small) -> None:
    monkeypatch.setattr(memory_limits, "available", lambda: MemoryLimit(1, "this machine"))
    model = AutoRec(hidden=4, epochs=1, refit=True).fit(
        planted_small.ratings, run=Run(memory_check=False)
    )
    assert len(model.history_) == 1


def test_a_machine_that_does_not_say_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limits, "available", lambda: None)
    memory_limits.refuse_too_large(AutoRec(refit=False), NETFLIX, Run())


def test_what_is_proposed_fits_and_no_more_would(tight: MemoryLimit) -> None:
    ways = fitting(AutoRec(refit=False), NETFLIX, Run(), (tight, None))
    assert [sorted(way) for way in ways] == [
        ["hidden"],
        ["hidden", "history"],
        ["batch_size", "hidden", "optimizer"],
    ]
    for way in ways:
        assert AutoRec(**way, refit=False).memory(NETFLIX).peak <= tight.bytes
        more = {**way, "hidden": way["hidden"] + 5}
        assert AutoRec(**more, refit=False).memory(NETFLIX).peak > tight.bytes


def test_the_message_has_the_sizes_the_settings_and_the_ways_out(tight: MemoryLimit) -> None:
    with pytest.raises(SizeError) as caught:
        memory_limits.refuse_too_large(AutoRec(refit=False), NETFLIX, Run())
    told = str(caught.value)
    assert (
        "AutoRec on 480,189 × 17,770 with hidden=500, refit=False, history=4, optimizer='lbfgs' "
        in told
    )
    assert "(optimizer 10.7 GB, " in told
    assert "this machine has 12.0 GB. What fits: hidden=" in told
    assert "optimizer='adam' and batch_size=512 and hidden=" in told


def test_where_nothing_fits_nothing_is_proposed() -> None:
    assert fitting(AutoRec(), NETFLIX, Run(), (MemoryLimit(GB, "this machine"), None)) == []
    assert fitting(rc.make("bias"), NETFLIX, Run(), (MemoryLimit(GB, "this machine"), None)) == []


def test_a_gpu_without_room_is_named() -> None:
    need = Memory({"libraries": 5}, {"parameters": 10})
    assert lacking(need, (MemoryLimit(5, "this machine"), MemoryLimit(10, "cuda"))) is None
    assert lacking(need, (MemoryLimit(5, "this machine"), MemoryLimit(9, "cuda"))) == (
        {"parameters": 10},
        MemoryLimit(9, "cuda"),
    )
