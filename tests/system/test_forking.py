"""A forked process is told, and one that is started afresh computes."""

import multiprocessing
import subprocess
import sys

import pytest

FORKED = """
import multiprocessing, sys
import recollect as rc
from recollect.run import Run

model = rc.make("bias").fit(rc.load("planted/tiny"), run=Run(threads=1))
rc.save(model, sys.argv[1])

def ask(what):
    try:
        if what == "top_n":
            return len(rc.top_n(model, user_ids=["1"], n=3))
        if what == "predict":
            return len(rc.predict(model, [("1", "2")]))
        if what == "load":
            return type(rc.load_model(sys.argv[1])).__name__
        return type(rc.make("bias").fit(model.given_, run=Run(threads=1))).__name__
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"

if __name__ == "__main__":
    rc.top_n(model, user_ids=["1"], n=3)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for answer in pool.map(ask, ["top_n", "predict", "load", "fit"]):
            print(answer)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names of threads are seen on Linux only")
def test_a_forked_process_is_told_instead_of_waiting_for_ever(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", FORKED, tmp_path / "m"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 0, process.stderr
    answers = process.stdout.splitlines()
    assert len(answers) == 4
    for answer in answers:
        assert answer.startswith("ProcessError: This process was forked from one in which")
        assert 'get_context("spawn")' in answer


def work(folder):
    import recollect as rc

    return len(rc.top_n(rc.load_model(folder), user_ids=["1"], n=3))


def test_a_process_that_was_started_afresh_computes(tmp_path):
    import recollect as rc

    rc.save(rc.make("bias").fit(rc.load("planted/tiny")), tmp_path / "m")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(work, [tmp_path / "m"]) == [3]
