"""A saved model comes back as it was, or with an error that says why not."""

import errno
import hashlib
import json
import os
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import numpy as numpy_file
from safetensors import torch as torch_file

import recollect as rc
from recollect import checkpoint
from recollect.data.ratings import Ratings
from recollect.data.text.word_vectors import WordVectors
from recollect.data.vocab import Vocab
from recollect.errors import CheckpointError, NotFittedError
from recollect.models.bias import Bias
from recollect.registry import make
from recollect.run import Run
from recollect.system.atomic_files import checksum

made = []


def no_model(**settings):
    """What must never be called."""
    made.append(settings)


@pytest.fixture(scope="module")
def model(planted_small):
    """An AutoRec with a validation history, times, titles and genres."""
    whole = planted_small.ratings
    table = pl.DataFrame(
        {
            "item_id": whole.items.ids,
            "title": [f"Filme “{i}” №" if int(i) % 2 else None for i in whole.items.ids],
            "genres": [["Drama", "Sci-Fi"], []] * 40,
            "year": [1990, None] * 40,
        }
    )
    parts = rc.random_split(replace(whole, catalogue=table), test=0.1, valid=0.1, seed=0)
    return make("autorec", hidden=(6, 3), reg=1.0, epochs=10).fit(
        parts.train, parts.valid, Run(seed=5, threads=1)
    )


@pytest.fixture
def folder(model, tmp_path):
    return rc.save(model, tmp_path / "m")


def predictions(model) -> np.ndarray:
    return model.predict(model.given_.user[:200], model.given_.item[:200])


def edit(folder, **changes) -> None:
    """Change model.json and make its checksum fit, as another program might."""
    about = {**checkpoint.describe(folder), **changes}
    (folder / "model.json").write_text(
        json.dumps({**about, "checksum": checkpoint.checksum(about)})
    )


def test_everything_comes_back(model, folder):
    loaded = rc.load_model(folder)
    given, back = model.given_, loaded.given_
    np.testing.assert_array_equal(predictions(loaded), predictions(model))
    for column in ("user", "item", "value", "time"):
        np.testing.assert_array_equal(getattr(back, column), getattr(given, column))
        assert getattr(back, column).dtype == getattr(given, column).dtype
    assert (back.users, back.items, back.scale, back.name) == (
        given.users,
        given.items,
        given.scale,
        given.name,
    )
    assert back.catalogue.equals(given.catalogue)
    assert back.catalogue.schema == given.catalogue.schema
    assert loaded.history_ == model.history_
    assert (loaded.seed_, loaded.hidden, loaded.net_.training) == (5, (6, 3), False)
    assert rc.top_n(loaded, user_ids=["1"]).equals(rc.top_n(model, user_ids=["1"]))


def test_texts_come_back_and_read_new_documents(checkerboard, plots, tmp_path):
    with_texts = rc.with_texts(checkerboard, plots)
    n = with_texts.text.n_words
    vectors = WordVectors(
        np.arange(2 * n, dtype=np.float32).reshape(n, 2), np.arange(n) % 2 == 0, "by hand"
    )
    ratings = replace(with_texts, text=replace(with_texts.text, vectors=vectors))
    rc.save(make("bias").fit(ratings), tmp_path / "m")
    found = rc.load_model(tmp_path / "m").given_
    assert found.fingerprint == ratings.fingerprint
    assert (found.text.tokenizer, found.text.notes) == (ratings.text.tokenizer, ratings.text.notes)
    assert repr(found.text.vectors) == repr(vectors)
    new = ["Robots at a wedding, of all places"]
    assert found.text.read(new).word.tolist() == ratings.text.read(new).word.tolist()
    assert found.text.words.at(found.text.read(new).word).to_list() == ["robots", "wedding"]


@pytest.mark.parametrize("name", ["text.json", "text.safetensors"])
def test_damaged_texts_are_told(name, checkerboard, plots, tmp_path):
    folder = rc.save(make("bias").fit(rc.with_texts(checkerboard, plots)), tmp_path / "m")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        rc.load_model(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        rc.load_model(folder)


def test_ratings_without_times_or_titles_come_back_without(few, tmp_path):
    loaded = rc.load_model(rc.save(make("bias").fit(replace(few, time=None)), tmp_path / "m"))
    assert loaded.given_.time is None
    assert loaded.given_.catalogue is None
    assert loaded.given_.scale == (0.0, 5.0)
    assert loaded.history_.best_valid_rmse == np.inf


def test_a_history_with_the_first_name_of_its_figure_is_read(few, tmp_path):
    folder = rc.save(make("autorec", hidden=2, epochs=2).fit(few), tmp_path / "m")
    about = json.loads((folder / "model.json").read_text())
    history = about["history"]
    for name in ("best_valid", "train_name", "valid_name", "stopped"):
        history.pop(name)
    about.pop("checksum")
    about["history"] = {**history, "best_valid_rmse": 0.5}
    (folder / "model.json").write_text(json.dumps({**about, "checksum": checksum(about)}))
    read = rc.load_model(folder).history_
    assert (read.best_valid_rmse, read.stopped) == (0.5, "")


def test_titles_of_one_type_only_keep_it(few, tmp_path):
    table = pl.DataFrame(
        {"item_id": ["w"], "title": [None], "genres": [[]]},
        schema={"item_id": pl.String, "title": pl.String, "genres": pl.List(pl.String)},
    )
    loaded = rc.load_model(rc.save(make("bias").fit(replace(few, catalogue=table)), tmp_path / "m"))
    assert loaded.given_.catalogue.schema == table.schema


def test_ids_with_odd_characters_come_back(few, tmp_path):
    users, items = (
        ["žluťoučký 馬", "a\nb\r\t\\", "\"quoted\" 'x'"],
        ["", " 1", "1.0", "\x00\u2028😀"],
    )
    odd = replace(few, users=Vocab(users), items=Vocab(items))
    loaded = rc.load_model(rc.save(make("bias").fit(odd), tmp_path / "m"))
    assert loaded.given_.users.ids.to_list() == users
    assert loaded.given_.items.ids.to_list() == items


def test_a_folder_with_odd_characters_will_do(model, tmp_path):
    path = tmp_path / "my [first]* model é"
    np.testing.assert_array_equal(
        predictions(rc.load_model(rc.save(model, path))), predictions(model)
    )


def test_loading_needs_no_data_and_no_other_file(folder, model, monkeypatch, tmp_path):
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    folder.rename(tmp_path / "moved")
    np.testing.assert_array_equal(predictions(rc.load_model("moved")), predictions(model))


def test_loading_leaves_torchs_randomness_alone(folder):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    rc.load_model(folder)
    assert torch.equal(before, torch.get_rng_state())


def test_a_large_vocabulary_is_quick(tmp_path):
    n = 300_000
    ratings = Ratings(
        np.arange(n, dtype=np.int32),
        (np.arange(n) % 100).astype(np.int32),
        np.ones(n, np.float32),
        Vocab(pl.Series([f"user-{j}" for j in range(n)])),
        Vocab(range(100)),
    )
    model = make("bias").fit(ratings)
    started = time.process_time()
    assert len(rc.load_model(rc.save(model, tmp_path / "m")).given_) == n
    assert time.process_time() - started < 10  # about one second on an idle machine


def test_no_file_is_a_pickle(folder):
    assert {p.name for p in folder.iterdir()} == {"model.json", *checkpoint.PARTS}
    for path in folder.iterdir():
        start = path.read_bytes()[:10]
        assert not start.startswith((b"\x80", b"PK")), (
            path
        )  # pickle; the zip that torch.save writes
        assert start.startswith((b"{", b"PAR1")) or start[8:9] == b"{"  # JSON, Parquet, safetensors


def test_describe_reads_model_json_alone(folder):
    for name in checkpoint.PARTS:
        (folder / name).unlink()
    about = checkpoint.describe(folder)
    assert (about["model"], about["settings"]["hidden"], about["n_users"], about["seed"]) == (
        "autorec",
        [6, 3],
        120,
        5,
    )
    assert about["history"]["epochs"]


def test_model_json_is_json_for_everyone(few, tmp_path):
    text = (rc.save(make("bias").fit(few), tmp_path / "m") / "model.json").read_text()

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", ["model.json", *checkpoint.PARTS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(
        CheckpointError, match=f"holds no model.json|lacks {name}; the folder was copied in part"
    ):
        rc.load_model(folder)


@pytest.mark.parametrize("keep", [0, 0.5, -1], ids=["empty", "half", "less one byte"])
@pytest.mark.parametrize("name", ["model.json", *checkpoint.PARTS])
def test_a_file_cut_short_is_damaged(folder, name, keep):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(keep * len(whole))] if keep >= 0 else whole[:-1])
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        rc.load_model(folder)


@pytest.mark.parametrize("name", ["model.json", *checkpoint.PARTS])
def test_a_flipped_bit_anywhere_is_damage(folder, name):
    whole = (folder / name).read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(len(whole), size=40):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(random.integers(8))
        if name == "model.json" and _has_the_same_values(bytes(broken), whole):
            continue

        (folder / name).write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"damaged|newer"):
            rc.load_model(folder)


def _has_the_same_values(broken: bytes, whole: bytes) -> bool:
    """Whether JSON means the same, such as 1e-05 and 1E-05, or 0.1 with another far digit."""
    try:
        return json.loads(broken) == json.loads(whole)
    except ValueError:
        return False


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"format": "x"}', '{"format": 1}', "\x00", '{"format": 1, "model": '],
)
def test_a_model_json_that_is_none_is_damaged(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"model.json is damaged"):
        rc.load_model(folder)
    with pytest.raises(CheckpointError, match=r"model.json is damaged"):
        checkpoint.describe(folder)


def test_there_is_no_model_where_there_is_none(tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("nowhere", "does not exist"),
        ("empty", r"holds no model\.json"),
        ("f", "does not exist"),
    ):
        with pytest.raises(CheckpointError, match=message):
            rc.load_model(tmp_path / name)


def test_a_newer_format_is_refused(folder):
    (folder / "model.json").write_text('{"format": 5, "all": "else may differ"}')
    with pytest.raises(
        CheckpointError, match=r"newer Recollect \(format 5\).* reads up to format 4: upgrade"
    ):
        rc.load_model(folder)


def test_an_unknown_setting_is_named(folder):
    edit(folder, settings={"hidden": 6, "depth": 3})
    with pytest.raises(
        CheckpointError,
        match=r"does not fit what is installed here: There is no setting of autorec 'depth'",
    ):
        rc.load_model(folder)


def test_settings_that_do_not_fit_the_weights_are_an_error(folder):
    edit(folder, settings={**checkpoint.describe(folder)["settings"], "hidden": [7, 3]})
    with pytest.raises(
        CheckpointError, match=r"does not fit the model's settings: .* is .* expected"
    ):
        rc.load_model(folder)


def test_row_numbers_without_ids_are_an_error(folder):
    columns = numpy_file.load_file(folder / "given.safetensors")
    columns["user"][0] = 120
    numpy_file.save_file(columns, folder / "given.safetensors")
    sums = {
        **checkpoint.describe(folder)["checksums"],
        "given.safetensors": hashlib.sha256(
            (folder / "given.safetensors").read_bytes()
        ).hexdigest(),
    }
    edit(folder, checksums=sums)
    with pytest.raises(
        CheckpointError, match="user row numbers run from 0 to 120, but there are 120"
    ):
        rc.load_model(folder)


@pytest.mark.parametrize(
    "name", [f"{__name__}:no_model", f"{__name__}:made", "collections:OrderedDict", "os:system"]
)
def test_what_is_no_model_is_never_called(folder, name):
    edit(folder, model=name, settings={"command": "exit 1"})
    for trusted in ((), name):
        with pytest.raises(
            CheckpointError, match=r"its code would be run|no installed distribution"
        ):
            rc.load_model(folder, trusted)
    assert not made


def test_what_an_installed_package_names_and_is_no_model_is_never_called(folder):
    edit(folder, model="typer:Typer", settings={"name": "x"})
    with pytest.raises(CheckpointError, match="is no model: it must be a class under"):
        rc.load_model(folder, trusted="typer:Typer")


def test_a_model_that_is_not_installed_is_named(folder):
    name = "their_package.module:Class"
    edit(folder, model=name)
    with pytest.raises(CheckpointError, match="'their_package' is in no installed distribution"):
        rc.load_model(folder, trusted=[name])
    edit(folder, model="autorek")
    with pytest.raises(CheckpointError, match="Did you mean 'autorec'"):
        rc.load_model(folder)


def test_saving_over_an_earlier_model_replaces_all_of_it(folder, few):
    scores = {"model": "autorec", "settings": {}, "rmse": 0.9}  # as `recollect train` writes it
    (folder / "scores.json").write_text(json.dumps(scores))
    (folder / "snapshot").mkdir()
    rc.save(make("bias").fit(few), folder)
    assert type(rc.load_model(folder)) is Bias
    assert {p.name for p in folder.iterdir()} == {"model.json", *checkpoint.PARTS} - {
        "catalogue.parquet"
    }
    assert os.listdir(folder.parent) == ["m"]


def test_a_damaged_model_can_be_saved_over(folder, model):
    (folder / "model.json").write_text("x")
    np.testing.assert_array_equal(
        predictions(rc.load_model(rc.save(model, folder))), predictions(model)
    )


@pytest.mark.parametrize("part", range(5))
def test_a_full_disk_leaves_the_earlier_model(folder, model, few, monkeypatch, part):
    written = []

    def may_fail(real):
        def write(*args, **more):
            if len(written) == part:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(args)
            return real(*args, **more)

        return write

    monkeypatch.setattr("safetensors.torch.save_file", may_fail(torch_file.save_file))
    monkeypatch.setattr("safetensors.numpy.save_file", may_fail(numpy_file.save_file))
    monkeypatch.setattr("pathlib.Path.write_text", may_fail(type(folder).write_text))
    monkeypatch.setattr("pathlib.Path.write_bytes", may_fail(type(folder).write_bytes))
    with pytest.raises(
        CheckpointError, match=r"No space left on device\. Nothing was changed there"
    ):
        rc.save(model, folder)
    monkeypatch.undo()
    np.testing.assert_array_equal(predictions(rc.load_model(folder)), predictions(model))
    assert os.listdir(folder.parent) == ["m"]


def test_a_failure_between_the_renames_leaves_the_earlier_model(folder, few, monkeypatch):
    rename = os.rename

    def fail(source, target):
        if ".tmp" in str(source):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(CheckpointError, match="Input/output error"):
        rc.save(make("bias").fit(few), folder)
    assert checkpoint.describe(folder)["model"] == "autorec"


def test_a_folder_that_cannot_be_written_is_an_error(model, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="could not be written"):
        rc.save(model, tmp_path / "file" / "m")


def test_other_peoples_files_are_never_removed(model, folder, tmp_path):
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(
        CheckpointError,
        match=r"holds notes\.txt: no part of a saved model, and saving would remove it",
    ):
        rc.save(model, folder)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"holds 1\.jpg"):
        rc.save(model, tmp_path / "photos")
    with pytest.raises(CheckpointError, match="is a file; name a folder"):
        rc.save(model, folder / "notes.txt")
    assert (folder / "notes.txt").read_text() == "mine"


def test_what_a_fit_left_there_makes_way(model, tmp_path):
    for name in ("snapshot", "refit", ".snapshot.x7.tmp"):
        (tmp_path / "m" / name).mkdir(parents=True)
    assert checkpoint.describe(rc.save(model, tmp_path / "m"))["model"] == "autorec"
    rc.save(model, tmp_path / "m" / ".." / "other")
    assert sorted(os.listdir(tmp_path)) == ["m", "other"]


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError, match="not fitted"):
        rc.save(make("bias"), tmp_path / "m")
    assert not list(tmp_path.iterdir())
