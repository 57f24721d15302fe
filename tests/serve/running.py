"""A service in processes of its own, as `recollect serve` runs it."""

import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


class Running:
    """Started at a free port; `kill` ends it as a power cut does, `stop` as an operator does.

    What it writes is added to the log.
    """

    def __init__(self, db, log, *arguments, port=0):
        self.log = Path(log)
        written = len(self.log.read_text()) if self.log.exists() else 0
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "recollect", "serve", *map(str, arguments)),
                    *("--db", str(db), "--port", str(port)),
                ],
                stderr=stream,
                stdout=subprocess.DEVNULL,
            )

        self.url = ""
        self._wait(lambda: self._found(written))
        self._wait(self._is_ready)

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])

    def _found(self, written):
        found = re.search(r" at (http://\S+)", self.log.read_text()[written:])
        self.url = found[1] if found else ""
        return found

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _wait(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the service is not ready"
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)
