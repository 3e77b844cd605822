"""Measures commands of the program beside fail2ban-client's own, taken in turn in the same run. Prints a table; judges nothing.

    commands.py PROGRAM
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from serve import Daemon, Server

ROUNDS = 21


def took(command):
    """Milliseconds that a command takes, which must go well."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="bangui-bench.") as directory:
        daemon = Daemon(directory)
        daemon.ban(1000)
        settings = ["--database", os.path.join(directory, "b.db"), "--fail2ban-socket", daemon.socket,
                    "--fail2ban-config", os.path.join(directory, "etc")]
        client = ["fail2ban-client", "-s", daemon.socket]
        pairs = [("status", ["status"], ["status"]), ("bans of a jail (1 000)", ["bans", "lab"], ["get", "lab", "banip"])]
        print("%-28s %10s %10s %10s %8s" % ("command, ms", "server", "no server", "client", "ratio"))
        for name, ours, theirs in pairs:
            ours, theirs = [program, *ours, *settings], [*client, *theirs]
            alone = statistics.median(took(ours) for _ in range(ROUNDS))
            server = Server(program, daemon, directory)
            both = [(took(ours), took(theirs)) for _ in range(ROUNDS)]
            server.stop()
            own, other = (statistics.median(column) for column in zip(*both))
            print("%-28s %10.1f %10.1f %10.1f %7.1fx" % (name, own, alone, other, other / own))
        daemon.stop()


if __name__ == "__main__":
    main()
