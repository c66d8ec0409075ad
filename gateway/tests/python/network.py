"""A network namespace with nothing but loopback, for servers that listen on every address they find."""

import os
import subprocess

import pytest


class Network:
    """Lasts as long as the `with`. Where the system does not let us make one, the test is skipped and says why."""

    def __enter__(self):
        # Who is not root is root of a user namespace, where that is allowed.
        self.user = [] if os.geteuid() == 0 else ["--user"]
        self.holder = subprocess.Popen(
            ["unshare", *(["--map-root-user"] if self.user else []), "--net"]
            + ["sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self.holder.stdout.readline() != "up\n":
            said = self.holder.communicate()[1].strip()
            pytest.skip(f"network namespaces are not permitted here, run as root: {said}")
        return self

    def inside(self, command):
        """The command line that runs `command` in it."""
        credentials = ["--user", "--preserve-credentials"] if self.user else []
        return ["nsenter", "--target", str(self.holder.pid), *credentials, "--net", "--", *map(str, command)]

    def __exit__(self, *_):
        self.holder.communicate()
