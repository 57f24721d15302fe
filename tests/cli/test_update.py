"""recollect update and prequential."""

import json

import polars as pl
import pytest
from tests.cli.support import answer, call, settings

import recollect as rc


@pytest.fixture
def run(tmp_path, planted_small):
    """A saved PMF."""
    model = rc.make("pmf", factors=2, epochs=5).fit(planted_small.ratings, run=rc.Run(threads=1))
    return rc.save(model, tmp_path / "run")


def write(path, rows):
    path.write_text("\n".join(["user_id,item_id,rating", *rows]))
    return path


def test_update_takes_new_users_and_items_in(run, tmp_path):
    new = write(tmp_path / "new.csv", ["zoe,2,5", "zoe,3,1", "zoe,4,5", "7,brand-new,3.5"])
    done = answer("update", run, new)
    assert done["ratings"] == 4
    assert (done["users_new"], done["items_new"]) == (1, 1)
    assert done["waits"]
    lists = answer("recommend", run, "--user", "zoe", "-n", "3")
    assert len(lists["recommendations"]) == 3
    assert rc.load_model(run).given_.items.rows(["brand-new"])[0] >= 0


def test_update_can_leave_the_model_as_it_is(run, tmp_path):
    before = rc.load_model(run).given_.fingerprint
    new = write(tmp_path / "new.csv", ["zoe,2,5"])
    result = call("update", run, new, "--out", tmp_path / "second")
    assert result.exit_code == 0
    assert "1 new" in result.stdout
    assert rc.load_model(run).given_.fingerprint == before
    assert rc.load_model(tmp_path / "second").given_.n_users == 121


def test_update_takes_events_back_where_a_model_can(tmp_path, planted_small):
    events = planted_small.ratings.events()
    run = rc.save(rc.make("popularity").fit(events), tmp_path / "run")
    events.where(range(5)).frame().select("user_id", "item_id").write_csv(tmp_path / "gone.csv")
    assert answer("update", run, tmp_path / "gone.csv", "--retract")["ratings"] == 5
    assert len(rc.load_model(run).given_) == len(events) - 5
    again = call("update", run, tmp_path / "gone.csv", "--retract")
    assert "the model has not changed" in again.stdout
    assert "5" in again.stdout


def test_update_refuses_with_what_to_do(run, tmp_path):
    new = write(tmp_path / "new.csv", ["zoe,2,5"])
    retracted = call("update", run, new, "--retract")
    assert retracted.exit_code == 1
    assert "cannot take ratings back" in retracted.stderr
    events = call("update", run, new, "--implicit")
    assert "takes ratings; leave out --implicit" in events.stderr
    outside = call("update", run, write(tmp_path / "high.csv", ["zoe,2,9"]))
    assert outside.exit_code == 1
    assert "outside the stated scale" in outside.stderr
    assert call("update", tmp_path / "none", new).exit_code == 1


def test_prequential_compares_four_ways(tmp_path, planted_small):
    frame = planted_small.ratings.frame()
    frame.write_csv(tmp_path / "ratings.csv")
    args = ["prequential", tmp_path / "ratings.csv", "--model", "pmf"]
    args += settings("factors=2", "epochs=3")
    args += ["--batch", 500, "--refit-every", "52w", "--window", 300]
    done = answer(*args, "--out", tmp_path / "w.csv", "--plot", tmp_path / "p.png")
    assert [row["way"] for row in done["ways"]] == ["frozen", "fold_in", "update", "refit"]
    assert all(0 < row["rmse"] < 2 for row in done["ways"])
    windows = pl.read_csv(tmp_path / "w.csv")
    assert windows.columns == ["way", "event", "time", "rmse"]
    assert (tmp_path / "p.png").stat().st_size > 5000
    shown = call(*args, "--way", "frozen", "--way", "update")
    assert "gain_share" in shown.stdout
    assert "refit" not in shown.stdout.splitlines()[3]


def test_kinds_of_events_count_by_their_weights(tmp_path):
    lines = ["user,item,event", "a,x,view", "a,x,purchase", "a,y,view", "b,x,scroll", "b,y,view"]
    (tmp_path / "events.csv").write_text("\n".join(lines))
    weights = ["--event-weights", "view=1,purchase=5,scroll=0"]
    result = call("data", "convert", tmp_path / "events.csv", tmp_path / "out.csv", *weights)
    assert result.exit_code == 0, result.stderr
    table = {tuple(row[:2]): row[2] for row in pl.read_csv(tmp_path / "out.csv").rows()}
    assert table == {("a", "x"): 6, ("a", "y"): 1, ("b", "y"): 1}
    assert "1 events of kind 'scroll' have weight 0" in result.stderr
    unknown = call("data", "describe", tmp_path / "events.csv", "--event-weights", "view=1")
    assert "Line 3" in unknown.stderr
    assert "'purchase', which has no weight" in unknown.stderr
    for wrong in ("view", "view=", "=3", "view=1,view=2"):
        refused = call("data", "describe", tmp_path / "events.csv", "--event-weights", wrong)
        assert "takes a weight for each kind" in refused.stderr
    refused = call("data", "describe", tmp_path / "events.csv", "--event-column", "event")
    assert "state what they count" in refused.stderr
    assert json.loads(call("data", "describe", tmp_path / "events.csv", *weights, "--json").stdout)
