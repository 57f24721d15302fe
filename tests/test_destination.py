"""Saving removes nothing that no save and no fit wrote."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli.support import QUICK, call

import recollect as rc
from recollect.errors import CheckpointError, TrainingError
from recollect.run import Run
from recollect.training import snapshot

# Names of ours and of others, as files and in folders.
NAMES = [
    "model.json",
    "net.safetensors",
    "given.safetensors",
    "vocab.json",
    "catalogue.parquet",
    "text.json",
    "text.safetensors",
    "scores.json",
    "given/about.json",
    "given/photo.jpg",
    "snapshot/state.json",
    "snapshot/tensors.safetensors",
    "snapshot/notes.txt",
    "refit/snapshot/state.json",
    "refit/x",
    ".git/config",
    ".env",
    ".ssh/id_rsa",
    ".m.old/a",
    ".snapshot.old/a",
    ".snapshot.old/state.json",
    ".snapshot.x7.tmp/mine",
    ".scores.json.x7.tmp",
    ".snapshot.x7.tmp/.writing/deep",
    "notes.txt",
]
CONTENTS = ["", "{}", "[]", "x", '{"rmse": 0.9}', '{"model": 1, "format": 2}', "12345678{}"]


@pytest.fixture(scope="module")
def model(planted_small):
    return rc.make("bias").fit(planted_small.ratings)


def files_in(folder: Path) -> dict[str, str]:
    """Every file under a folder with its content."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text(errors="replace") for path in paths}


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS), min_size=1, max_size=5))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_what_no_save_wrote_is_never_removed(tmp_path_factory, model, files):
    home = tmp_path_factory.mktemp("home")
    for name, content in files.items():
        path = home / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    before = files_in(home)
    with pytest.raises(CheckpointError, match="and saving would remove it"):
        rc.save(model, home / "m")
    assert files_in(home) == before


@given(st.sampled_from(NAMES), st.sampled_from(CONTENTS))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_nor_from_the_folder_of_a_saved_model(tmp_path_factory, model, name, content):
    folder = rc.save(model, tmp_path_factory.mktemp("home") / "m")
    if (folder / name).exists():
        return
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match="and saving would remove it"):
        rc.save(model, folder)
    assert (folder / name).read_text() == content
    assert type(rc.load_model(folder)) is type(model)


@pytest.mark.parametrize("name", [".git/config", ".env", "scores.json", "given/x", "snapshot/x"])
def test_train_refuses_such_a_folder_before_the_fit(name, tmp_path):
    path = tmp_path / "proj" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "proj")
    for out in ("proj", "link"):
        for resume in ([], ["--resume"]):
            train = ["train", "planted/tiny", *QUICK, "--out", tmp_path / out, *resume]
            result = call(*train)
            assert result.exit_code == 1
            assert (
                f"holds {name.removesuffix('/config')}: no part of a saved model" in result.stderr
            )
    assert path.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["link", "proj"]


def test_the_working_folder_is_not_taken_away(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="is the working folder"):
        rc.save(model, ".")
    assert "is the working folder" in call("train", "planted/tiny", *QUICK, "--out", ".").stderr


def test_through_a_link_its_target_is_replaced(model, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    rc.save(model, tmp_path / "link")
    rc.save(model, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert type(rc.load_model(tmp_path / "real")) is type(model)


def test_links_that_lead_to_each_other_are_told(model, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(CheckpointError, match="cannot be used: Too many levels of symbolic links"):
        rc.save(model, tmp_path / "a" / "m")


def test_a_file_that_comes_while_the_model_is_written_stays(model, tmp_path, monkeypatch):
    folder = rc.save(model, tmp_path / "m")
    write_text = Path.write_text

    def write_and_disturb(path, *args, **options):
        if path.name == "model.json":
            write_text(folder / "diary.txt", "mine")
        return write_text(path, *args, **options)

    monkeypatch.setattr(Path, "write_text", write_and_disturb)
    with pytest.raises(CheckpointError, match=r"holds diary\.txt"):
        rc.save(model, folder)
    assert (folder / "diary.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize("name", ["snapshot/mine.txt", "refit/mine.txt", ".snapshot.old/mine.txt"])
def test_a_fit_with_a_folder_removes_no_snapshot_that_no_fit_wrote(name, tmp_path, planted_small):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text("mine")
    recipe = rc.make("autorec", hidden=2, epochs=1)
    with pytest.raises(TrainingError, match=r"mine\.txt, which no fit wrote"):
        recipe.fit(planted_small.ratings, run=Run(folder=tmp_path))
    assert (tmp_path / name).read_text() == "mine"


def test_what_an_interrupted_fit_left_makes_way(model, tmp_path):
    folder = tmp_path / "m"
    snapshot.write(folder / "snapshot", {"x": 1}, fit_key={})
    snapshot.write(folder / "refit" / "snapshot", {"x": 1}, fit_key={})
    left = folder / ".snapshot.abcdefgh.tmp"
    (left / "snapshot").mkdir(parents=True)
    (left / ".writing").touch()
    rc.save(model, folder)
    assert type(rc.load_model(folder)) is type(model)
    assert not left.exists()
