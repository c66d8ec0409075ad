"""A program that runs beside a test, and the lines that it prints."""

import subprocess
import threading

DEADLINE = 20


class Program:
    """It runs while the `with` lasts, and is killed then. All its lines are read as they come."""

    def __init__(self, command, stdin=subprocess.DEVNULL):
        self.command, self.stdin = [*map(str, command)], stdin
        self.lines, self.ended = [], False
        self.bell = threading.Condition()

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=self.stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self._gather, daemon=True)
        self.reader.start()
        return self

    def _gather(self):
        for line in self.process.stdout:
            with self.bell:
                self.lines.append(line)
                self.bell.notify_all()
        with self.bell:
            self.ended = True
            self.bell.notify_all()

    def wait_for(self, wanted, found):
        """What `found` gives, as soon as it finds anything in the lines."""
        with self.bell:
            self.bell.wait_for(lambda: found() or self.ended, DEADLINE)
            result = found()
            assert result, f"no {wanted} in:\n{self}"
        return result

    def __str__(self):
        return "".join(self.lines)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
