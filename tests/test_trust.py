"""No folder and no file runs code that the caller did not name."""

import json
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.support import call

import recollect as rc
from recollect import checkpoint
from recollect.errors import CheckpointError, SettingError, UntrustedError
from recollect.experiment import parse, search_space
from recollect.models.bias import Bias
from recollect.registry import find, find_trusted
from recollect.system.installed_modules import installed_file

MODULE = """
from pathlib import Path
from recollect.models.bias import Bias
Path({mark!r}).touch()
class Evil(Bias):
    pass
"""


@dataclass(kw_only=True, eq=False)
class Elsewhere(Bias):
    """A model that is not in the package."""


class Place:
    """A working folder that Python searches, with a saved model in its sub-folder m."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "m"
        self.mark = folder / "code was run"

    def put(self, path: str) -> None:
        """Write a module that leaves a mark when it is imported."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(MODULE.format(mark=str(self.mark)))

    def name(self, name: str) -> str:
        """Name this class in the saved model, and make its checksum fit."""
        about = {**checkpoint.describe(self.model), "model": name}
        content = {**about, "checksum": checkpoint.checksum(about)}
        (self.model / "model.json").write_text(json.dumps(content))
        return name


@pytest.fixture
def place(few, tmp_path, monkeypatch) -> Place:
    rc.save(rc.make("bias").fit(few), tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield Place(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] in {"m", "cwd_evil"}]:
        del sys.modules[name]


NAMES = {
    "a module in the folder, which is a namespace package": ("m/evil.py", "m.evil:Evil"),
    "a module in the working folder": ("cwd_evil.py", "cwd_evil:Evil"),
    "a package in the working folder": ("cwd_evil/__init__.py", "cwd_evil:Evil"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_class_that_nobody_trusts_is_refused_and_not_imported(place, case):
    path, name = NAMES[case]
    place.put(path)
    place.name(name)
    with pytest.raises(CheckpointError, match=r"its code would be run.*trusted=\['.*:Evil'\]"):
        rc.load_model("m")
    result = call("recommend", "m", "--user", "a")
    assert result.exit_code == 1
    assert f"--trust {name}" in result.stderr
    assert not place.mark.exists()


@pytest.mark.parametrize("case", NAMES)
def test_a_trusted_name_is_looked_for_in_installed_distributions_only(place, case):
    path, name = NAMES[case]
    place.put(path)
    place.name(name)
    with pytest.raises(CheckpointError, match="is in no installed distribution"):
        rc.load_model("m", trusted=[name])
    result = call("recommend", "m", "--user", "a", "--trust", name)
    assert result.exit_code == 1
    assert "is in no installed distribution" in result.stderr
    assert not place.mark.exists()


@pytest.mark.slow
def test_a_process_in_the_folder_above_runs_nothing(place):
    place.put("m/evil.py")
    place.name("m.evil:Evil")
    code = "import recollect as rc; rc.load_model('m', trusted='m.evil:Evil')"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert "CheckpointError" in process.stderr
    assert not place.mark.exists()


def test_a_package_in_an_installed_distribution_is_loaded_when_it_is_trusted(
    place, tmp_path_factory, monkeypatch
):
    installed = tmp_path_factory.mktemp("site-packages")
    package = Place(installed)
    package.put("shop_models/__init__.py")
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(installed)])
    monkeypatch.syspath_prepend(installed)
    name = place.name("shop_models:Evil")
    with pytest.raises(CheckpointError, match="its code would be run"):
        rc.load_model("m")
    assert not package.mark.exists()
    assert type(rc.load_model("m", trusted=[name])).__name__ == "Evil"
    del sys.modules["shop_models"]


def test_a_module_that_hides_an_installed_one_is_refused(place, tmp_path_factory, monkeypatch):
    installed = tmp_path_factory.mktemp("site-packages")
    Place(installed).put("cwd_evil.py")
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(installed)])
    place.put("cwd_evil.py")  # the working folder is searched first
    name = place.name("cwd_evil:Evil")
    with pytest.raises(CheckpointError, match="is in no installed distribution"):
        rc.load_model("m", trusted=[name])
    assert not place.mark.exists()


def test_an_editable_installation_counts_as_installed(tmp_path, tmp_path_factory, monkeypatch):
    installed = tmp_path_factory.mktemp("site-packages")
    (tmp_path / "editable_shop.py").write_text("")
    (installed / "_shop.pth").write_text(f"import sys\n{tmp_path}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_file("editable_shop") is None
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(installed)])
    assert installed_file("editable_shop") == tmp_path / "editable_shop.py"


def test_of_an_installed_folder_too_no_model_folder_brings_code(place, monkeypatch):
    place.put("m/__init__.py")
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(place.folder)])
    name = place.name("m:Evil")
    with pytest.raises(CheckpointError, match="is in no installed distribution"):
        rc.load_model("m", trusted=[name])
    assert not place.mark.exists()


def test_a_class_that_the_caller_has_already_is_loaded(few, tmp_path):
    folder = rc.save(Elsewhere(reg_user=1.0).fit(few), tmp_path / "m")
    with pytest.raises(CheckpointError, match="its code would be run"):
        rc.load_model(folder)
    for trusted in (Elsewhere, [Elsewhere]):
        loaded = rc.load_model(folder, trusted=trusted)
        assert (type(loaded), loaded.reg_user) == (Elsewhere, 1.0)


@pytest.mark.parametrize(
    "name", ["this:X", "recollect.cli.__main__:X", "idlelib.idle:X", ":", "a:"]
)
def test_no_name_of_a_file_imports_a_module_of_python_or_of_recollect(name):
    with pytest.raises(UntrustedError):
        find_trusted(name)
    with pytest.raises(UntrustedError):
        find_trusted(name, trusted=[name])


@pytest.mark.parametrize(
    "line",
    ["raise SystemExit(2)", "raise GeneratorExit", "1 / 0", "raise BaseException('no')", "("],
)
def test_whatever_an_import_raises_is_an_error_of_ours(line, tmp_path, monkeypatch):
    (tmp_path / "ends_here.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingError, match="ends_here"):
        find("ends_here:Model")


TOML = """
paper = "A paper."
data = "planted/tiny"
split = { how = "random", test = 0.2 }
[[run]]
{like}
model = "m.evil:Evil"
"""


def test_a_file_of_experiments_runs_nothing_either(place):
    place.put("m/evil.py")
    path = place.folder / "paper.toml"
    path.write_text(TOML.replace("{like}", ""))
    with pytest.raises(UntrustedError, match="its code would be run"):
        parse.read(path)
    for command in (["report", path], ["run", path, "--list"], ["run", path]):
        assert "its code would be run" in call(*command).stderr
    path.write_text('data = "planted/tiny"\nmodel = "m.evil:Evil"\n[search]\n')
    with pytest.raises(UntrustedError, match="its code would be run"):
        search_space.read(path)
    assert "its code would be run" in call("tune", path).stderr
    assert not place.mark.exists()
