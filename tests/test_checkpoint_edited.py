"""A saved model that a stranger edited, its checksums made to fit: refused, in our words."""

import hashlib
import json
import threading

import numpy as np
import pytest
import torch
from safetensors import numpy as numpy_file
from safetensors import torch as torch_file

import recollect as rc
from recollect import checkpoint
from recollect.errors import CheckpointError
from recollect.run import Run
from recollect.system.available_memory import _own


@pytest.fixture(scope="module")
def autorec(planted_small):
    return rc.make("autorec", hidden=6, epochs=3).fit(planted_small.ratings, run=Run(threads=1))


@pytest.fixture
def folder(autorec, tmp_path):
    return rc.save(autorec, tmp_path / "m")


def make_fit(folder, **changes) -> None:
    """Change model.json, and make all checksums fit, as somebody would who means harm."""
    about = json.loads((folder / "model.json").read_text())
    about.pop("checksum")
    for name in about["checksums"]:
        about["checksums"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    about |= changes
    content = {**about, "checksum": checkpoint.checksum(about)}
    (folder / "model.json").write_text(json.dumps(content))


def edit_tensors(folder, file, module, change) -> None:
    tensors = module.load_file(folder / file)
    change(tensors)
    module.save_file(tensors, folder / file)
    make_fit(folder)


WRONG = {
    "model": [None, 5, [], {}, ["autorec"]],
    "settings": [None, [], "x", 5],
    "scale": [None, [1], [1, 5, 9], [5, 1], ["a", "b"], [1, None], {}, [float("nan")] * 2,
              [float("-inf"), float("inf")]],
    "data": [None, 5, []],
    "seed": [None, "x", 1.5, True],
    "seconds": [None, "x", float("nan")],
    "history": [None, 5, [], {}, {"epochs": 5}, {"epochs": [5]}, {"epochs": [{"epoch": "x"}]},
                {"epochs": [], "other": 1}],
    "checksums": [None, [], "x", 5, {}, {"net.safetensors": "x"}, {"../../etc/passwd": "x"},
                  {"net.safetensors": 5, "given.safetensors": 5, "vocab.json": 5}],
}  # fmt: skip
CASES = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=str)
def test_a_value_that_no_save_writes_is_refused(folder, name, value):
    make_fit(folder, **{name: value})
    with pytest.raises(CheckpointError):
        rc.load_model(folder)


@pytest.mark.parametrize("name", [*WRONG, "format"])
def test_a_name_that_is_missing_is_refused(folder, name):
    about = json.loads((folder / "model.json").read_text())
    about.pop("checksum")
    about.pop(name)
    content = {**about, "checksum": checkpoint.checksum(about)}
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError):
        rc.load_model(folder)
    with pytest.raises(CheckpointError):
        checkpoint.describe(folder)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, '"\\ud800"', "\xff"]
)
def test_json_that_is_hard_to_read_is_damaged(folder, text):
    (folder / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="damaged"):
        rc.load_model(folder)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.describe(folder)


def test_a_small_folder_takes_little_memory_whatever_its_settings_say(folder):
    settings = checkpoint.describe(folder)["settings"]
    make_fit(folder, settings={**settings, "hidden": 4_000_000})
    before = _own("VmHWM")
    with pytest.raises(CheckpointError, match="make a network that is far larger than the file"):
        rc.load_model(folder)
    assert _own("VmHWM") - before < 200 << 20


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_not_finite_is_refused(folder, value):
    def change(tensors):
        next(iter(tensors.values())).view(-1)[3] = value

    edit_tensors(folder, "net.safetensors", torch_file, change)
    with pytest.raises(CheckpointError, match="is not finite, so no prediction would be"):
        rc.load_model(folder)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("n_drawn", 0, "it has 0 draws"),
        ("n_drawn", 99, "it has 99 draws"),
        ("last_moment", -1, "a user's latest moment"),
        ("last_moment", 10**6, "a user's latest moment"),
    ],
)
def test_a_number_that_no_fit_leaves_is_refused(planted_small, tmp_path, name, value, said):
    model = rc.make("bayes_mf", factors=2, burn_in=1, n_samples=2, epochs=3)
    folder = rc.save(model.fit(planted_small.ratings, run=Run(threads=1)), tmp_path / "b")

    def change(tensors):
        tensors[name].view(-1)[0] = value

    edit_tensors(folder, "net.safetensors", torch_file, change)
    with pytest.raises(CheckpointError, match=said):
        rc.load_model(folder)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float16, torch.float64])
def test_weights_of_another_type_are_refused(folder, dtype):
    def change(tensors):
        name = next(iter(tensors))
        tensors[name] = tensors[name].to(dtype)

    edit_tensors(folder, "net.safetensors", torch_file, change)
    with pytest.raises(CheckpointError, match=r"does not fit the model's settings: .* expected"):
        rc.load_model(folder)


def test_weights_of_other_names_are_refused(folder):
    edit_tensors(folder, "net.safetensors", torch_file, lambda tensors: tensors.popitem())
    with pytest.raises(CheckpointError, match="is absent, expected"):
        rc.load_model(folder)


EDITS = {
    "a user below 0": lambda columns: columns["user"].__setitem__(0, -1),
    "an item without an id": lambda columns: columns["item"].__setitem__(0, 80),
    "a rating that is not a number": lambda columns: columns["value"].__setitem__(0, np.nan),
    "a rating outside the scale": lambda columns: columns["value"].__setitem__(0, 1e6),
    "users in 64 bits": lambda columns: columns.update(user=columns["user"].astype(np.int64)),
    "a column of another name": lambda columns: columns.update(x=columns["user"]),
    "no users": lambda columns: columns.pop("user"),
    "fewer items": lambda columns: columns.update(item=columns["item"][:5]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_ratings_that_could_not_be_are_refused(folder, edit):
    edit_tensors(folder, "given.safetensors", numpy_file, EDITS[edit])
    with pytest.raises(CheckpointError):
        rc.load_model(folder)


TEXT_EDITS = {
    "a word below 0": lambda columns: columns["word"].__setitem__(0, -1),
    "a word beyond the vocabulary": lambda columns: columns["word"].__setitem__(0, 10_000),
    "documents beyond the words": lambda columns: columns["start"].__setitem__(-1, 10_000),
    "documents that go back": lambda columns: columns["start"].__setitem__(2, 10_000),
    "documents from below": lambda columns: columns["start"].__setitem__(0, -5),
    "counts of fewer words": lambda columns: columns.update(
        in_documents=columns["in_documents"][:1]
    ),
}


@pytest.mark.parametrize("edit", TEXT_EDITS)
def test_texts_that_could_not_be_are_refused(checkerboard, plots, tmp_path, edit):
    folder = rc.save(rc.make("bias").fit(rc.with_texts(checkerboard, plots)), tmp_path / "m")
    edit_tensors(folder, "text.safetensors", numpy_file, TEXT_EDITS[edit])
    with pytest.raises(CheckpointError):
        rc.load_model(folder)


@pytest.mark.parametrize("ids", [[], {}, {"users": []}, {"users": [1], "items": [2]}, None, "x"])
def test_ids_that_could_not_be_are_refused(folder, ids):
    (folder / "vocab.json").write_text(json.dumps(ids))
    make_fit(folder)
    with pytest.raises(CheckpointError):
        rc.load_model(folder)


def test_loading_beside_a_fit_changes_neither(folder, planted_small, autorec):
    """Building a network draws numbers: not from the generator that a fit is using."""
    stop = threading.Event()

    def load_again_and_again():
        while not stop.is_set():
            rc.load_model(folder)

    thread = threading.Thread(target=load_again_and_again)
    thread.start()
    settings = {"hidden": 6, "epochs": 4, "optimizer": "adam", "batch_size": 10, "dropout": 0.3}
    try:
        beside = rc.make("autorec", **settings).fit(planted_small.ratings, run=Run(threads=1))
    finally:
        stop.set()
        thread.join()
    alone = rc.make("autorec", **settings).fit(planted_small.ratings, run=Run(threads=1))
    for one, other in zip(beside.net_.parameters(), alone.net_.parameters(), strict=True):
        assert torch.equal(one, other)
