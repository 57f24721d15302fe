"""recollect models."""

import json

import pytest
from tests.cli.support import answer, call

import recollect as rc
from recollect import model_descriptions, registry
from recollect.errors import SettingError


def test_all_models_are_listed() -> None:
    models = answer("models")["models"]
    assert [model["name"] for model in models] == rc.model_names()
    assert all(model["summary"] and model["source"] for model in models)


def test_settings_are_listed_with_default_range_and_meaning() -> None:
    settings = {row["name"]: row for row in answer("models", "autorec")["settings"]}
    assert settings["hidden"]["default"] == 500
    assert settings["validate_every"]["range"] == "at least 1"
    assert settings["reg"]["meaning"].startswith("lambda")


def test_the_former_key_of_the_summary_still_works() -> None:
    model = answer("models", "autorec")
    assert model["what it is"] == model["summary"]


def test_an_unknown_model_is_an_error() -> None:
    result = call("models", "nothing")
    assert result.exit_code == 1
    assert "There is no model 'nothing'" in result.stderr


def test_the_settings_of_the_paper_are_listed_and_taken_by_one_word(tmp_path) -> None:
    paper = answer("models", "autorec")["paper"]
    assert paper == {"offsets": False, "init": 0.01, "refit": False, "cold": "middle"}
    model = rc.make("autorec", like="paper", init=0.5)
    assert registry.settings(model) == {
        **registry.settings(rc.make("autorec")),
        **paper,
        "init": 0.5,
    }
    shown = call("models", "autorec").stdout
    assert "--like paper" in shown


PRESETS = [
    (name, like) for name in rc.model_names() for like in model_descriptions.describe(name).presets
]


@pytest.mark.parametrize(("name", "like"), PRESETS)
def test_the_settings_of_a_preset_are_those_that_the_source_text_says(name, like) -> None:
    stated = answer("models", name)["presets"][like]
    changed = registry.settings(rc.make(name, like=like))
    defaults = registry.settings(rc.make(name))
    as_json = {key: json.loads(json.dumps(value)) for key, value in changed.items()}
    assert {key: as_json[key] for key in stated} == stated
    assert all(changed[key] == defaults[key] for key in defaults if key not in stated)


@pytest.mark.parametrize("name", rc.model_names())
def test_a_preset_is_in_the_source_text_if_the_module_has_it(name) -> None:
    assert registry.presets(registry.find(name)) == model_descriptions.describe(name).presets


def test_a_model_whose_defaults_are_the_papers_says_so() -> None:
    with pytest.raises(SettingError, match="states no other settings for its paper"):
        rc.make("bias", like="paper")


@pytest.mark.parametrize(
    ("name", "known"),
    [("autorec", 'like="paper".'), ("multvae", 'like="paper" and like="recvae".')],
)
def test_an_unknown_preset_is_refused_with_those_there_are(name, known) -> None:
    with pytest.raises(SettingError, match=f"no settings like 'papers'; there is {known}"):
        rc.make(name, like="papers")


def test_a_model_must_be_named_for_the_settings_of_its_paper(tmp_path) -> None:
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("user,item,rating\n1,1,3\n1,2,4\n2,1,5\n2,2,1\n")
    result = call("train", ratings, "--like", "paper", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "name it, such as --model autorec" in result.stderr
