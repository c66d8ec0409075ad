"""The programs of GnuTLS, spoken to by lines."""

import subprocess

from running import DEADLINE, Program


class Dialogue(Program):
    """One of them, to which a test speaks in turn."""

    def __init__(self, command):
        super().__init__(command, stdin=subprocess.PIPE)
        self.read = 0

    def until(self, wanted):
        """Reads on, to the end of the next line in which `wanted` stands."""

        def found():
            return next((at + 1 for at in range(self.read, len(self.lines)) if wanted in self.lines[at]), None)

        self.read = self.wait_for(repr(wanted), found)

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
