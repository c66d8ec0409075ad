"""The programs of GnuTLS, spoken to by lines."""

import subprocess
import threading

from gateway import DEADLINE


class Program:
    """A running program and the lines that it printed, all of which are read as they come. It is killed when the `with` is left."""

    def __init__(self, command):
        self.command, self.lines, self.read, self.ended = [*map(str, command)], [], 0, False
        self.bell = threading.Condition()

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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

    def until(self, wanted):
        """Reads on, to the end of the next line in which `wanted` stands."""

        def found():
            for at in range(self.read, len(self.lines)):
                if wanted in self.lines[at]:
                    self.read = at + 1
                    return True
            return self.ended

        with self.bell:
            before = self.read
            self.bell.wait_for(found, DEADLINE)
            assert self.read > before, f"no {wanted!r} in:\n{self}"

    def say(self, line, wanted=None):
        """Sends a line, and reads on to its echo, or to what is wanted instead. A line that is a command has to come alone."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.until(line if wanted is None else wanted)

    def finish(self):
        """Ends its input, and waits for its end."""
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)

    def __str__(self):
        return "".join(self.lines)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


def client(address, authority, name):
    """Verifies `name` under `authority`."""
    host, port = address
    return [
        *("gnutls-cli", "--inline-commands", "--x509cafile", authority),
        *("--sni-hostname", name, "--verify-hostname", name, "--port", port, host),
    ]


def server(port, certificate, key):
    """Sends back what it gets, and tells of the handshake messages. It listens on every address there is."""
    return [
        *("gnutls-serv", "--echo", "--debug", "4", "--disable-client-cert", "--port", port),
        *("--x509certfile", certificate, "--x509keyfile", key),
    ]
