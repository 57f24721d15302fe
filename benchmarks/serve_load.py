"""How a service does under load: latency, swaps, kills, nonsense. On the loopback, bounded.

    python benchmarks/serve_load.py load --rate 100 --seconds 30    requests at a fixed rate
    python benchmarks/serve_load.py most                            the highest rate that it holds
    python benchmarks/serve_load.py swap                            versions change places meanwhile
    python benchmarks/serve_load.py kill --times 50                 kill -9, clients send again
    python benchmarks/serve_load.py fuzz --requests 10000           nonsense; none may be a 500

It starts the service itself, on a copy of the model's ratings (`--run`, a saved model; without one
it fits a small one on `--data`). A request's latency runs from the moment at which it was due, so
that a service that falls behind is not spared.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import string
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import quote

import numpy as np

import recollect as rc
from recollect.errors import RecollectError
from recollect.serve.store import keys, versions
from recollect.serve.store.store import open_store
from recollect.serve.store.tables import events_table

HOST = "127.0.0.1"
READ_SHARE = 0.8
THREADS = 16


class Running:
    """The service in processes of its own."""

    def __init__(self, db: Path, log: Path, *arguments: str, port: int = 0) -> None:
        self.log = log
        written = log.stat().st_size if log.exists() else 0
        started = time.perf_counter()
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "recollect", "serve", *arguments),
                    *("--db", str(db), "--port", str(port), "--rate", "0"),
                ],
                stderr=stream,
                stdout=subprocess.DEVNULL,
            )

        while True:
            found = re.search(rb" at (http://\S+)", log.read_bytes()[written:])
            if found:
                break
            assert self.process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.01)

        self.url = found[1].decode()
        self.port = int(self.url.rpartition(":")[2])
        while not self._is_ready():
            assert self.process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.01)

        self.start_seconds = time.perf_counter() - started

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def cpu_seconds(self) -> float:
        """Of the service and the processes that it started."""
        total = 0.0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def megabytes(self) -> float:
        """Resident memory of all its processes."""
        return sum(
            int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
            for pid in self.pids()
        )

    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Load:
    """Requests at a fixed rate: 80% lists of known users, 20% ratings."""

    def __init__(self, port: int, users: list[str], items: list[str], key: str | None) -> None:
        self.port = port
        self.users = users
        self.items = items
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.latency: list[tuple[str, float, float]] = []  # what, since due, since sent
        self.errors: list[str] = []
        self.lock = threading.Lock()

    def run(self, rate: float, seconds: float) -> None:
        n = int(rate * seconds)
        start = time.perf_counter() + 0.2
        numbers = iter(range(n))
        threads = [
            threading.Thread(target=self._work, args=(numbers, start, rate)) for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, numbers: object, start: float, rate: float) -> None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        draw = random.Random(threading.get_ident())
        while True:
            with self.lock:
                number = next(numbers, None)
            if number is None:
                connection.close()
                return

            due = start + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            self._request(connection, draw, due)

    def _request(
        self, connection: http.client.HTTPConnection, draw: random.Random, due: float
    ) -> None:
        user, item = draw.choice(self.users), draw.choice(self.items)
        sent = time.perf_counter()

        try:
            if draw.random() < READ_SHARE:
                what = "recommend"
                path = f"/v1/users/{quote(user, safe='')}/recommendations?n=10"
                connection.request("GET", path, headers=self.headers)
            else:
                what = "write"
                event = {"id": str(uuid.uuid4()), "user": user, "item": item}
                body = json.dumps([event | {"value": draw.randint(1, 5)}])
                headers = {**self.headers, "Content-Type": "application/json"}
                connection.request("POST", "/v1/events", body, headers)

            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                self.errors.append(f"{answer.status} {body[:200]!r}")
        except (OSError, http.client.HTTPException) as problem:
            self.errors.append(repr(problem))
            connection.close()
            what = "broken"

        done = time.perf_counter()
        self.latency.append((what, done - due, done - sent))

    def figures(self) -> dict[str, object]:
        out: dict[str, object] = {"requests": len(self.latency), "errors": len(self.errors)}
        for what in ("recommend", "write"):
            since_due = [1000 * due for kind, due, _ in self.latency if kind == what]
            for name, share in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
                if since_due:
                    out[f"{what} {name} ms"] = round(float(np.percentile(since_due, share)), 1)

        return out

    def p99(self) -> float:
        return float(np.percentile([1000 * due for _, due, _ in self.latency], 99))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("load", "most", "swap", "kill", "fuzz"))
    parser.add_argument("--run", type=Path, help="the folder of a saved model")
    parser.add_argument(
        "--data", default="movielens/1m", help="what to fit a model on without --run"
    )
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--db", type=Path, help="a store that is used again; otherwise a new one")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run = given.run or fitted(given.data, place)
        db = given.db or place / "load.db"
        model = rc.load_model(run)
        users, items = model.given_.users.ids.to_list(), model.given_.items.ids.to_list()
        del model
        print("load average before:", os.getloadavg(), flush=True)
        DO[given.what](given, run, db, place / "log", users, items)
        print("load average after:", os.getloadavg())


def fitted(data: str, place: Path) -> Path:
    model = rc.make("autorec", side="user", hidden=100, epochs=15).fit(rc.load(data))
    return rc.save(model, place / "run")


def start(given, run, db, log, *more, port=0) -> Running:
    service = Running(
        db, log, str(run), "--workers", str(given.workers), "--no-refit", *more, port=port
    )
    print(f"started in {service.start_seconds:.1f} s ({service.cpu_seconds():.1f} s of processor)")
    return service


def do_load(given, run, db, log, users, items) -> None:
    service = start(given, run, db, log)
    Load(service.port, users, items, None).run(50, 3)  # everything is warm afterwards
    before, cpu = service.megabytes(), service.cpu_seconds()
    load = Load(service.port, users, items, None)
    load.run(given.rate, given.seconds)
    figures = load.figures()
    used = service.cpu_seconds() - cpu
    print(json.dumps(figures, indent=1))
    print(f"processor {1000 * used / len(load.latency):.2f} ms a request")
    print(f"memory {before:.0f} MB before, {service.megabytes():.0f} MB after")
    print(load.errors[:3])
    service.stop()


def do_most(given, run, db, log, users, items) -> None:
    service = start(given, run, db, log)
    Load(service.port, users, items, None).run(50, 3)
    for rate in (50, 100, 150, 200, 300, 400, 500):
        load = Load(service.port, users, items, None)
        load.run(rate, 5)
        print(rate, "a second:", json.dumps(load.figures()), flush=True)
        if load.p99() > 1000:
            break

    service.stop()


def do_swap(given, run, db, log, users, items) -> None:
    service = start(given, run, db, log)
    with open_store(db) as store:
        first = versions.active(store.reader())
        about = versions.find(store.reader(), first)
        second = store.write(
            lambda session: versions.add(
                session,
                folder=about.folder,
                digest=about.digest,
                kind=about.kind,
                upto_seq=about.upto_seq,
                figures={},
            )
        )

    Load(service.port, users, items, None).run(50, 3)
    calm = Load(service.port, users, items, None)
    calm.run(given.rate, given.seconds / 2)
    load = Load(service.port, users, items, None)
    thread = threading.Thread(target=load.run, args=(given.rate, given.seconds / 2))
    thread.start()
    client, seconds = rc.connect(service.url), []
    while thread.is_alive():
        for path in (f"{second}/activate", f"{second}/rollback"):
            begun = time.perf_counter()
            client._ask("POST", f"/v1/models/{path}")
            seconds.append(time.perf_counter() - begun)
            time.sleep(0.7)
    thread.join()
    print("without swaps:", json.dumps(calm.figures()))
    print(f"with {len(seconds)} swaps:", json.dumps(load.figures()))
    print("seconds of activate, rollback:", [round(one, 2) for one in seconds])
    service.stop()


def do_kill(given, run, db, log, users, items) -> None:
    service = start(given, run, db, log)
    port, url = service.port, service.url
    accepted: dict[str, str] = {}
    stop = threading.Event()

    def send(name: str) -> None:
        client = rc.connect(url, patience=300)
        number = 0
        draw = random.Random(name)
        while not stop.is_set():
            events = [
                {
                    "id": f"{name}:{number + j}",
                    "user": draw.choice(users),
                    "item": draw.choice(items),
                }
                | {"value": draw.randint(1, 5)}
                for j in range(draw.randint(1, 5))
            ]
            number += len(events)
            for answer in client.send(events):
                accepted[answer["id"]] = answer["outcome"]
        client.close()

    threads = [threading.Thread(target=send, args=(f"client-{j}",)) for j in range(4)]
    for thread in threads:
        thread.start()

    starts = []
    for _ in range(given.times):
        time.sleep(random.uniform(0.05, 0.6))
        service.kill()
        service = Running(
            db, log, str(run), "--workers", str(given.workers), "--no-refit", port=port
        )
        starts.append(service.start_seconds)

    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    service.stop()
    with open_store(db) as store:
        ids = events_table(store.reader())["event_id"].to_list()
    ours = [id_ for id_ in ids if id_.startswith("client-")]
    print(f"{given.times} kills, {len(accepted):,} events answered, {len(ours):,} in the log")
    print("lost:", len(set(accepted) - set(ours)), "doubled:", len(ours) - len(set(ours)))
    print("refused:", sum(outcome == "refused" for outcome in accepted.values()))
    print(f"started again in {np.median(starts):.1f} s (median), {max(starts):.1f} s at most")


def do_fuzz(given, run, db, log, users, items) -> None:
    service = start(given, run, db, log)
    with open_store(db) as store:
        key = store.write(lambda session: keys.add(session, f"fuzz-{uuid.uuid4()}", "admin"))
    time.sleep(1)
    fuzz = Fuzz(service.port, key, users, items)
    for number in range(given.requests):
        fuzz.request(number)

    print("answers by status:", dict(sorted(fuzz.statuses.items())))
    print("not as they should be:", fuzz.faults[:5], len(fuzz.faults))
    text = log.read_text()
    print("tracebacks in the log:", text.count("Traceback"), "key in the log:", key in text)
    print("still ready:", service._is_ready(), f"{service.megabytes():.0f} MB")
    service.stop()


ENDPOINTS = (
    ("GET", "/v1/users/{}/recommendations"),
    ("GET", "/v1/users/{}"),
    ("DELETE", "/v1/users/{}"),
    ("GET", "/v1/users/{}/similar"),
    ("PUT", "/v1/users/{}/ratings/{}"),
    ("DELETE", "/v1/users/{}/ratings/{}"),
    ("GET", "/v1/items/{}"),
    ("PUT", "/v1/items/{}"),
    ("DELETE", "/v1/items/{}"),
    ("GET", "/v1/items/{}/similar"),
    ("GET", "/v1/items"),
    ("POST", "/v1/items"),
    ("GET", "/v1/users"),
    ("POST", "/v1/events"),
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/recommendations/{}/shown"),
    ("POST", "/v1/predictions"),
    ("GET", "/v1/models"),
    ("POST", "/v1/models/{}/activate"),
    ("POST", "/v1/models/{}/rollback"),
    ("PUT", "/v1/experiments/{}"),
    ("DELETE", "/v1/experiments/{}"),
    ("GET", "/v1/jobs/{}"),
    ("GET", "/v1/report"),
    ("GET", "/v1/export/ratings.parquet"),
    ("GET", "/metrics"),
    ("GET", "/people/{}"),
    ("GET", "/items/{}"),
    ("GET", "/items"),
    ("GET", "/service"),
    ("POST", "/try/list"),
    ("POST", "/key"),
    ("GET", "/{}"),
)
NAMES = ("n", "where", "allow", "deny", "seen", "rank_by", "at_most", "diversity", "fresh")
NAMES += ("explain", "interval", "cursor", "search", "user")
FIELDS = ("id", "user", "item", "value", "kind", "time", "recommendation", "ratings", "events")
FIELDS += ("title", "text", "fields", "available", "starts", "ends", "arms", "n", "where", "share")
ODD = (
    "",
    "0",
    "-1",
    "1e999",
    "NaN",
    "\x00",
    "../../etc/passwd",
    "%00",
    "ü" * 300,
    "'; DROP TABLE x",
)
ODD += (
    "genre:",
    "year>=x",
    '"',
    "a=b",
    "genre=2",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


class Fuzz:
    """Requests that are half right."""

    def __init__(self, port: int, key: str, users: list[str], items: list[str]) -> None:
        self.port = port
        self.key = key
        self.draw = random.Random(0)
        self.some = [*users[:20], *items[:20], *ODD]
        self.statuses: dict[int, int] = {}
        self.faults: list[str] = []
        self.connection = http.client.HTTPConnection(HOST, port, timeout=30)

    def text(self) -> str:
        if self.draw.random() < 0.8:
            return self.draw.choice(self.some)
        n = self.draw.randint(0, 40)
        return "".join(self.draw.choice(string.printable + "äß漢\u202e") for _ in range(n))

    def value(self, depth: int = 0) -> object:
        kind = self.draw.random()
        if kind < 0.35:
            return self.text()
        if kind < 0.6:
            return self.draw.choice((0, 1, 3, 4.5, -7, 2**70, 1e308, float("nan"), True, None))
        if depth > 3:
            return None
        if kind < 0.8:
            return [self.value(depth + 1) for _ in range(self.draw.randint(0, 4))]
        names = (*FIELDS, self.text())
        return {
            self.draw.choice(names): self.value(depth + 1) for _ in range(self.draw.randint(0, 6))
        }

    def body(self) -> bytes:
        kind = self.draw.random()
        if kind < 0.1:
            return self.draw.randbytes(self.draw.randint(0, 200))
        if kind < 0.12:
            return b"[" * 50_000
        if kind < 0.5:
            event = {
                "user": "a",
                "item": self.draw.choice(self.some),
                "value": 3,
                "id": self.text(),
            }
            event[self.draw.choice(FIELDS)] = self.value()
            return json.dumps(self.draw.choice(([event], event))).encode()
        text = json.dumps(self.value())
        return text.encode()[: self.draw.choice((None, None, None, 20))]

    def request(self, number: int) -> None:
        method, path = self.draw.choice(ENDPOINTS)
        if self.draw.random() < 0.05:
            method = self.draw.choice(METHODS)
        path = re.sub(r"\{\}", lambda _: quote(self.text(), safe=self.draw.choice(("", "/"))), path)
        if self.draw.random() < 0.6:
            pairs = [
                f"{self.draw.choice(NAMES)}={quote(self.text())}"
                for _ in range(self.draw.randint(0, 4))
            ]
            path += "?" + "&".join(pairs)

        headers = {"Authorization": f"Bearer {self.key}"} if self.draw.random() < 0.9 else {}
        if self.draw.random() < 0.9:
            headers["Content-Type"] = "application/json"
        body = None if method == "GET" else self.body()

        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            self.faults.append(f"{number} {method} {path}: {problem!r}")
            self.connection.close()
            return

        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        kind = answer.headers.get("content-type", "")
        is_problem = "problem+json" in kind or "html" in kind or path.startswith("/static")
        if answer.status >= 500 or (answer.status >= 400 and not is_problem):
            self.faults.append(
                f"{number} {method} {path} {body!r:.200}: {answer.status} {content[:200]!r}"
            )


DO = {"load": do_load, "most": do_most, "swap": do_swap, "kill": do_kill, "fuzz": do_fuzz}

if __name__ == "__main__":
    try:
        main()
    except RecollectError as problem:
        sys.exit(str(problem))
