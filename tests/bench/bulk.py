"""Measures many bans with one request beside what the raw socket needs for the same bans, many in a command, taken in turn in the same run: in
a jail that has no action, where a ban is next to nothing, and in one whose action does nothing. Prints a table; judges nothing.

    bulk.py PROGRAM
"""

import json
import os
import sys
import tempfile
import time
import urllib.request

from serve import Daemon, Server, in_turn, row

ROUNDS = 3
# The jail, how many bans, and how many in a command of the raw socket.
PARTS = [("lab", 10_000, 250), ("other", 300, 2)]


def done(server, path, body):
    """Sends it and waits for its end, also where that is a job."""
    headers = {"Authorization": "Bearer " + server.token, "Content-Type": "application/json"}
    base = "http://127.0.0.1:%d" % server.port
    request = urllib.request.Request(base + "/api/v1" + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        told = json.load(answer)
        place = answer.headers.get("Location")
    while place and told.get("state") in (None, "running"):
        time.sleep(0.02)
        told = json.loads(server.get(place.removeprefix("/api/v1")))
    return told.get("result") or told


def settled(server):
    """Waits until the server has seen that everybody is out, and that the daemon has time again."""
    headers = {"Authorization": "Bearer " + server.token}
    while True:
        server.connection.request("GET", "/api/v1/dashboard/status", headers=headers)
        answer = server.connection.getresponse()
        text = answer.read()
        if answer.status == 200 and json.loads(text)["status"]["total_bans"] == 0:
            return
        time.sleep(0.1)


def measure(server, daemon, jail, count, chunk):
    ips = ["10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255) for n in range(count)]

    def ours():
        answer = done(server, "/bans/bulk", {"ips": ips, "jail": jail})
        if answer["counts"]["banned"] != count:
            sys.exit("not all were banned: %s" % answer["counts"])

    def raw():
        for start in range(0, count, chunk):
            daemon.call("set", jail, "banip", *ips[start:start + chunk])

    # Each with an empty jail; emptying it is not measured.
    times = [[], []]
    for _ in range(ROUNDS):
        for at, work in enumerate((ours, raw)):
            daemon.call("unban", "--all")
            settled(server)
            times[at] += in_turn(1, work)
    own, theirs = (sorted(each)[len(each) // 2] for each in times)
    row("%d bans with one request in %s" % (count, jail), own, theirs, "the raw socket, %d in a command" % chunk)


def main(program):
    with tempfile.TemporaryDirectory(prefix="bangui-bench-") as directory:
        daemon = Daemon(directory)
        server = Server(program, daemon, directory)
        try:
            server.log_in()
            # What is made in the first seconds of a daemon and gone without a trace counts as lost with the daemon before it.
            time.sleep(4)
            for jail, count, chunk in PARTS:
                measure(server, daemon, jail, count, chunk)
        finally:
            server.process.kill()
            daemon.stop()


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
