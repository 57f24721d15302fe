"""How a service learns: updates, fits beside it, the gate, swaps, rollback, experiments."""

import threading
import time
import uuid

import numpy as np
import polars as pl
import pytest

import recollect as rc
from recollect.serve.answers.catalogue import Catalogue
from recollect.serve.answers.served import Served
from recollect.serve.digests import digest_of
from recollect.serve.learning.active import arm_of
from recollect.serve.learning.folders import KEPT, new_folder
from recollect.serve.learning.gate import judge
from recollect.serve.learning.policy import why_now
from recollect.serve.learning.refit import FitRequest, fit_version, newest_ratings
from recollect.serve.learning.updates import updated
from recollect.serve.report import wilson
from recollect.serve.settings import RefitPolicy
from recollect.serve.starting import prepare
from recollect.serve.store import jobs, versions
from recollect.serve.store.experiments import Arm, Experiment
from recollect.serve.store.store import open_store
from recollect.serve.store.tables import ratings_table


def rate(client, user, ratings):
    """Send ratings {item: value}."""
    events = [
        {"id": str(uuid.uuid4()), "user": user, "item": item, "value": value}
        for item, value in ratings.items()
    ]
    answer = client.post("/v1/events", json=events).json()
    assert answer["accepted"] == len(events)


def rate_for_many(client, films, n_users=20, n_items=10):
    """New users rate as known ones do: their ratings of other items."""
    rng = np.random.default_rng(0)
    for place in range(n_users):
        row = films.by_user.take(np.array([place]))
        chosen = rng.permutation(row.n_cells)[:n_items]
        ids = films.items.at(row.column[chosen]).to_list()
        values = [float(value) for value in row.value[chosen]]
        rate(client, f"new-{place}", dict(zip(ids, values, strict=True)))


def wait_for(job, client):
    for _ in range(600):
        found = client.get(f"/v1/jobs/{job}").json()
        if found["ended"]:
            return found
        time.sleep(0.1)
    raise AssertionError("the job did not end")


def add_version(db, folder, *, upto_seq=1):
    with open_store(db) as store:
        return store.write(
            lambda session: versions.add(
                session,
                folder=str(folder),
                digest=digest_of(folder),
                kind="autorec",
                upto_seq=upto_seq,
                figures={},
            )
        )


@pytest.fixture(scope="session")
def second_folder(films, tmp_path_factory):
    """Another model of the same ratings, whose lists differ."""
    other = rc.make("bias").fit(films)
    return rc.save(other, tmp_path_factory.mktemp("second") / "films")


# Fits


@pytest.mark.slow
def test_a_fit_that_is_asked_for_takes_over_and_knows_the_new_users(client, films):
    rate_for_many(client, films)
    assert client.get("/v1/users/new-3/recommendations").json()["basis"] == "fold_in"
    job = wait_for(client.post("/v1/models").json()["job"], client)
    assert job["state"] == "done", job["detail"]
    answer = client.get("/v1/models").json()
    assert answer["active"] == "2"
    newest = answer["versions"][0]
    assert newest["figures"]["n_ratings"] >= len(films) + 100
    gate = newest["figures"]["gate"]
    assert gate["n_ratings"] >= 20
    assert gate["low"] <= 0
    # Those that were held out to judge it are folded in, the others are in the model.
    bases = {client.get(f"/v1/users/new-{j}/recommendations").json()["basis"] for j in range(20)}
    assert bases == {"model", "fold_in"}
    assert client.get("/v1/users/new-3/recommendations").json()["model"] == "2"


def test_a_fit_that_fails_says_why_and_changes_nothing(client, monkeypatch):
    def fail(*arguments, **more):
        raise rc.RecollectError("There is not enough of something.")

    monkeypatch.setattr("recollect.serve.learning.policy.run_each", fail)
    job = wait_for(client.post("/v1/models").json()["job"], client)
    assert job["state"] == "failed"
    assert job["detail"]["problem"] == "There is not enough of something."
    assert client.get("/v1/models").json()["active"] == "1"


def test_the_newest_ratings_judge_and_are_not_learned_from(db, films, model, tmp_path, client):
    rate_for_many(client, films)
    with open_store(db) as store:
        active = versions.find(store.reader(), 1)
    folder = new_folder(tmp_path)
    fitted = fit_version(FitRequest(str(db), active, folder, ()))
    with open_store(db) as store:
        table = ratings_table(store.reader())
    newer = table.filter(pl.col("seq") > fitted.upto_seq)
    learned = rc.load_model(folder).given_
    assert len(learned) + fitted.figures["gate"]["n_ratings"] == len(table)
    pairs = set(learned.frame().select("user_id", "item_id").iter_rows())
    assert not pairs & set(newer.select("user_id", "item_id").iter_rows())


def test_pairs_that_the_active_model_knows_do_not_judge_it(films, model):
    ids = films.frame()
    table = pl.DataFrame(
        {
            "user_id": [*ids["user_id"], *("x" * j for j in range(1, 61))],
            "item_id": [*ids["item_id"], *([films.items.ids[0]] * 60)],
            "seq": [*range(10_000, 10_000 + len(ids)), *range(20_000, 20_060)],
        }
    )
    is_newest, cut = newest_ratings(table, model, 5)
    assert set(table.filter(is_newest)["user_id"]) <= {"x" * j for j in range(1, 61)}
    assert is_newest.sum() == 60
    # 2% are 73 ratings: the 60, and 13 that the model knows and that judge nothing.
    assert cut == 10_000 + len(ids) - 13 - 1


def test_the_gate_sets_a_worse_version_aside(films, model):
    train, _, test = rc.random_split(films, test=0.2, seed=0)
    good = rc.make("bias").fit(train)
    shuffled = np.random.default_rng(0).permutation(train.value)
    import dataclasses

    worse = rc.make("bias").fit(dataclasses.replace(train, value=shuffled))
    assert judge(good, worse, test, train).passes
    verdict = judge(worse, good, test, train)
    assert not verdict.passes
    assert verdict.low > 0
    assert judge(good, good, test, train).passes
    assert judge(worse, good, None, train).passes
    assert verdict.new == pytest.approx(rc.held_out(worse, test)["rmse"])


def test_models_of_events_are_judged_by_their_lists(films):
    train, _, test = rc.random_split(films.events(from_=4), test=0.2, seed=0)
    good = rc.make("ease").fit(train)
    poor = rc.make("popularity").fit(train)
    verdict = judge(good, poor, test, train)
    assert verdict.metric == "ndcg@10"
    assert verdict.passes == (verdict.high >= 0)


def test_a_version_that_is_set_aside_does_not_answer(client, db, films, monkeypatch, tmp_path):
    from recollect.serve.learning.refit import Fitted

    folder = rc.save(rc.make("bias").fit(films), tmp_path / "versions" / "worse")
    worse = Fitted("bias", digest_of(folder), 1, False, {"seconds": 1, "gate": {"new": 1.0}}, "no")
    monkeypatch.setattr(
        "recollect.serve.learning.policy.run_each", lambda *arguments, **more: iter([worse])
    )
    job = wait_for(client.post("/v1/models").json()["job"], client)
    assert job["state"] == "set aside"
    answer = client.get("/v1/models").json()
    assert answer["active"] == "1"
    assert answer["versions"][0]["state"] == "set aside"


def test_a_fit_is_due_when_enough_is_new_and_not_again_at_once(db, client, films):
    policy = RefitPolicy(least_events=50, share=0.001)
    with open_store(db) as store:
        assert why_now(store.reader(), policy) is None
        rate_for_many(client, films)
        assert "200 ratings are newer" in why_now(store.reader(), policy)
        assert why_now(store.reader(), RefitPolicy(least_events=500)) is None
        assert why_now(store.reader(), RefitPolicy(least_events=50, enabled=False)) is None

        job = store.write(lambda session: jobs.add(session, "refit", {}))
        store.write(lambda session: jobs.end(session, job, "failed", {}))
        assert why_now(store.reader(), policy) is None


def test_a_killed_fit_is_told_as_failed_by_the_next_process(db, start):
    with open_store(db) as store:
        job = store.write(lambda session: jobs.add(session, "refit", {}))
        store.write(lambda session: jobs.set_state(session, job, jobs.RUNNING))
    found = wait_for(job, start())
    assert found["state"] == "failed"
    assert "process" in found["detail"]["problem"]


# Swaps


def test_a_swap_and_a_rollback_under_load_drop_nothing(client, db, films, second_folder):
    version = add_version(db, second_folder)
    failed, seen, stop = [], set(), threading.Event()
    user = films.users.ids[0]

    def ask():
        while not stop.is_set():
            answer = client.get(f"/v1/users/{user}/recommendations")
            if answer.status_code != 200:
                failed.append(answer.text)
            seen.add(answer.json()["model"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert client.post(f"/v1/models/{version}/activate").json()["active"] == str(version)
    time.sleep(0.3)
    started = time.perf_counter()
    answer = client.post(f"/v1/models/{version}/rollback")
    seconds = time.perf_counter() - started
    assert answer.json() == {"active": "1", "before": str(version)}
    time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert seen == {"1", str(version)}
    assert seconds < 1
    assert client.get(f"/v1/users/{user}/recommendations").json()["model"] == "1"


def test_another_process_takes_over_by_itself(start, second_folder, db):
    first, second = start(), start()
    version = add_version(db, second_folder)
    first.post(f"/v1/models/{version}/activate")
    deadline = time.monotonic() + 3
    url = "/v1/users/nobody/recommendations"
    while second.get(url).json()["model"] != str(version):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_damaged_version_is_refused_and_the_service_goes_on(client, db, second_folder, tmp_path):
    import shutil

    damaged = tmp_path / "damaged"
    shutil.copytree(second_folder, damaged)
    version = add_version(db, damaged)
    (damaged / "net.safetensors").write_bytes(b"nothing")
    answer = client.post(f"/v1/models/{version}/activate")
    assert answer.status_code == 503
    assert "damaged" in answer.json()["detail"]
    assert client.get("/v1/models").json()["active"] == "1"
    assert client.get("/v1/users/nobody/recommendations").status_code == 200


def test_a_version_that_is_removed_while_it_is_loaded_does_not_become_active(
    client, db, second_folder, monkeypatch
):
    version = add_version(db, second_folder)
    models = client.app.state.service.models
    load = models.load

    def load_and_lose(found):
        with open_store(db) as store:
            store.write(lambda session: versions.set_state(session, version, versions.REMOVED))
        return load(found)

    monkeypatch.setattr(models, "load", load_and_lose)
    assert client.post(f"/v1/models/{version}/activate").status_code == 404
    assert client.get("/v1/models").json()["active"] == "1"


def test_three_versions_are_kept_and_the_folder_that_was_given_stays(
    client, db, films, monkeypatch, tmp_path, run_folder
):
    from recollect.serve.learning.refit import Fitted

    bias = rc.make("bias").fit(films)

    def fit(function, requests, processes):
        for request in requests:
            rc.save(bias, request.folder)
            yield Fitted(
                "bias",
                digest_of(request.folder),
                1,
                True,
                {"seconds": 0, "gate": {"new": 1}},
                "yes",
            )

    monkeypatch.setattr("recollect.serve.learning.policy.run_each", fit)
    for _ in range(4):
        assert wait_for(client.post("/v1/models").json()["job"], client)["state"] == "done"

    states = [one["state"] for one in client.get("/v1/models").json()["versions"]]
    assert states == ["active", "kept", "kept", "removed", "removed"]
    assert len(list((tmp_path / "versions").iterdir())) == KEPT
    assert run_folder.exists()
    assert client.post("/v1/models/1/activate").status_code == 404


def test_a_new_folder_at_the_next_start_is_a_new_version(db, second_folder, run_folder):
    with open_store(db) as store:
        again = prepare(store, run_folder)
        assert (again.version, again.is_new, again.imported) == (1, False, None)
        newer = prepare(store, second_folder)
        assert (newer.version, newer.is_new, newer.imported) == (2, True, None)
        assert versions.active(store.reader()) == 2


# Experiments


def test_arms_divide_users_by_their_shares_and_for_good():
    experiment = Experiment("colors", (Arm("a", None, 0.3), Arm("b", 2, 0.7)), 0, None)
    arms = [arm_of(experiment, f"user {j}").label for j in range(20_000)]
    # Four standard deviations of a share of 20,000.
    assert abs(arms.count("a") / 20_000 - 0.3) < 4 * (0.21 / 20_000) ** 0.5
    assert arms[:50] == [arm_of(experiment, f"user {j}").label for j in range(50)]


def test_an_experiment_labels_lists_and_its_report_counts_hits(client, db, films, second_folder):
    version = add_version(db, second_folder)
    arms = {"now": {"share": 0.5}, "other": {"version": version, "share": 0.5}}
    assert client.put("/v1/experiments/first", json={"arms": arms}).status_code == 200
    of_arm = {"now": [], "other": []}
    for user in films.users.ids.to_list()[:40]:
        answer = client.get(f"/v1/users/{user}/recommendations").json()
        of_arm[answer["arm"]].append(answer)
        assert answer["model"] == ("1" if answer["arm"] == "now" else str(version))

    for answer in of_arm["other"][:3]:
        event = {
            "id": str(uuid.uuid4()),
            "user": answer["user"],
            "item": answer["items"][0]["item"],
            "value": 4,
            "recommendation": answer["recommendation"],
        }
        client.post("/v1/events", json=[event, event | {"id": str(uuid.uuid4()), "value": 5}])

    report = {one["arm"]: one for one in client.get("/v1/report").json()}
    assert report["now"]["lists"] == len(of_arm["now"])
    assert (report["other"]["hits"], report["now"]["hits"]) == (3, 0)
    assert client.delete("/v1/experiments/first").status_code == 200
    user = films.users.ids[0]
    assert client.get(f"/v1/users/{user}/recommendations").json()["arm"] is None


def test_shares_that_are_not_one_are_refused(client):
    arms = {"a": {"share": 0.5}, "b": {"share": 0.6}}
    answer = client.put("/v1/experiments/x", json={"arms": arms})
    assert answer.status_code == 422
    assert "add up to 1.1" in answer.json()["detail"]


def test_the_interval_of_a_share_is_wilson_s():
    # Newcombe 1998, table I: 81 of 263 are 0.2553 to 0.3662 with 95%.
    share, low, high = wilson(81, 263)
    assert (round(share, 4), round(low, 4), round(high, 4)) == (0.308, 0.2553, 0.3662)


# Without a fit


@pytest.mark.parametrize(
    ("name", "settings"), [("bias", {}), ("biased_mf", {"factors": 3, "epochs": 3})]
)
def test_a_model_that_can_be_updated_learns_new_users_and_items(client, db, films, name, settings):
    before = rc.make(name, **settings).fit(films)
    with open_store(db) as store:
        served = Served(versions.find(store.reader(), 1), before)
        assert updated(served, store.reader(), Catalogue()) is None
        for j in range(120):
            rate(client, f"new-{j % 12}", {f"new item {j // 12}": 5, films.items.ids[j % 70]: 3})
        newer = updated(served, store.reader(), Catalogue())
        items = Catalogue().now(store.reader())

    assert served.model is before
    assert served.model.given_ is films
    assert "new item 3" in newer.model.given_.items
    assert newer.upto_seq > served.upto_seq
    assert newer.columns(items)[items.row_of["new item 3"]] >= 0
    assert served.columns(items)[items.row_of["new item 3"]] < 0


def test_a_model_that_cannot_be_updated_is_left_as_it_is(client, db, films):
    settings = {"hidden": 3, "epochs": 2}
    before = rc.make("rbm", **settings).fit(films)
    with open_store(db) as store:
        served = Served(versions.find(store.reader(), 1), before)
        for j in range(120):
            rate(client, f"new-{j % 12}", {films.items.ids[j % 70]: 3})
        assert updated(served, store.reader(), Catalogue()) is None


def test_a_text_makes_a_new_item_recommendable_within_seconds(tmp_path, start, checkerboard, plots):
    text_model = rc.make("ctr", factors=2, epochs=3).fit(rc.with_texts(checkerboard, plots))
    folder = rc.save(text_model, tmp_path / "texts")
    path = tmp_path / "texts.db"
    with open_store(path) as store:
        prepare(store, folder)
    client = start(path)
    body = {"title": "New", "text": "A starship and its crew find robots on a planet in space."}
    client.put("/v1/items/new-film", json=body)
    url = "/v1/users/u0/recommendations"
    deadline = time.monotonic() + 6
    while True:
        entries = client.get(url, params={"allow": "new-film"}).json()["items"]
        if entries:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert entries[0]["basis"] != "fresh"
    assert entries[0]["prediction"] is not None
