import importlib.util
import runpy
from pathlib import Path
from types import ModuleType

import pytest

import recollect as rc
from recollect.errors import FetchError

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["your_table", "new_person"])
def test_example_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert "rmse" in capsys.readouterr().out


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The demo with small models, fitted here, its files in a folder of its own."""
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "REAL", {"hidden": 6, "reg": 2.0, "epochs": 4})
    monkeypatch.setattr(
        module.processes, "run_each", lambda function, inputs, processes: map(function, inputs)
    )
    return module


def test_demo_shows_both_models_and_keeps_one(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.rc, "load", lambda name, load=rc.load: load("planted/tiny"))
    demo.main()
    shown = capsys.readouterr().out
    assert all(
        word in shown for word in ("bias", "autorec", "For user", "For someone new", "Like Item")
    )
    assert rc.load_model(demo.FOLDER).given_.n_items == 40


def test_demo_without_network_says_that_its_data_are_made_up(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str) -> rc.Ratings:
        raise demo.FetchError("no network")

    monkeypatch.setattr(demo.rc, "load", load)
    ratings, name, settings = demo.load()
    assert ratings.name == "planted"
    assert "SYNTHETIC" in name
    assert settings == demo.SYNTHETIC
    assert "SYNTHETIC" in capsys.readouterr().out


def test_the_service_of_the_example_is_fitted_once_and_then_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.util.spec_from_file_location("serve", EXAMPLES / "serve.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    started = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path / "none"))
    monkeypatch.setattr("recollect.data.download.download", _no_network)
    monkeypatch.setattr(module.os, "execv", lambda program, words: started.append(words))
    module.main("--port", "0")
    model = rc.load_model(tmp_path / "runs" / "serve" / "model")
    assert model.given_.text is not None
    monkeypatch.setattr(module, "fit", None)
    module.main("--port", "0")
    assert started[0] == started[1]
    assert started[0][1:5] == ["-m", "recollect", "serve", str(Path("runs/serve/model"))]


def _no_network(*arguments: object, **more: object) -> None:
    raise FetchError("There is no network.")
