"""recollect models."""

from tests.cli.support import answer, call

import recollect as rc


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
