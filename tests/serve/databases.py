"""Databases to test with: a file, and a PostgreSQL server of the test's own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

PLACES = ("/usr/lib/postgresql",)  # where Debian puts its programs


def program(name):
    """The path of a program of PostgreSQL; skips the test where it is not installed."""
    pytest.importorskip("psycopg", reason="needs psycopg, of the extra postgres")
    found = shutil.which(name)
    if found is None:
        versions = [path for place in PLACES for path in Path(place).glob(f"*/bin/{name}")]
        found = str(max(versions)) if versions else None

    if found is None:
        pytest.skip(f"needs PostgreSQL's {name}: apt-get install postgresql")

    return os.path.realpath(found)


def as_server(*command):
    """A command as the account that may run the server, which must not be root."""
    if os.geteuid() != 0:
        return list(command)

    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


@contextmanager
def postgres_server():
    """The address of a server in a folder of its own, at a free port of the loopback."""
    initdb, postgres = program("initdb"), program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="recollect-pg-"))
    folder.chmod(0o777)
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    made = subprocess.run(
        as_server(initdb, "-D", data, "-A", "trust", "-U", "tester", "--no-sync"), **quiet
    )
    if made.returncode:
        pytest.skip("PostgreSQL's initdb does not run here, perhaps for want of an account")

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    server = subprocess.Popen(
        as_server(
            postgres,
            "-D",
            data,
            "-p",
            str(port),
            "-c",
            "listen_addresses=127.0.0.1",
            "-k",
            folder,
            "-c",
            "fsync=off",
        ),
        **quiet,
    )
    url = f"postgresql://tester@127.0.0.1:{port}/postgres"
    try:
        wait_for(url, server)
        yield url, server
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(url, server):
    import psycopg

    for _ in range(200):
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, "the server ended"
            time.sleep(0.05)

    raise AssertionError("the server does not answer")


def fresh_database(url, number):
    """A new, empty database of the server."""
    import psycopg

    name = f"test_{number}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")

    return url.rpartition("/")[0] + f"/{name}"
