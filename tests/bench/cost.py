"""Counts the instructions of ten representative requests, the child processes they need included, and tells the memory after each.

    tests/bench/cost.py PROGRAM            prints the table
    tests/bench/cost.py PROGRAM --write    and makes it the baseline, tests/bench/baseline.json
    tests/bench/cost.py PROGRAM --check    and ends with 1 where a request takes more than the baseline and its tolerance allow

The program runs under valgrind's callgrind against a private fail2ban with 1 000 bans. Counts do not depend on how fast or busy the machine
is, but on the compiler and on fail2ban: where those are not the baseline's nothing is checked, and a line says so.
Needs valgrind and fail2ban; no root, nothing beyond loopback.
"""

import contextlib
import glob
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time

from serve import Daemon, Server

BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "baseline.json")
# What a change may cost without an explanation. Runs of one program differ by 3 % at most.
TOLERANCE = 0.20
BANS = 1_000
TIMES = 10
# The archive is filled once at the start, and is then left alone.
SETTINGS = {"BANGUI_ARCHIVE_SECONDS": "3600"}


def requests(server):
    """Name, and what is done."""
    ban = {"ip": "192.0.2.7", "jail": "lab"}
    line = "failed from 192.0.2.7"
    return [
        ("GET /health", lambda: server.get("/health")),
        ("GET /dashboard/status", lambda: server.get("/dashboard/status")),
        ("GET /jails", lambda: server.get("/jails")),
        ("GET /jails/{name}", lambda: server.get("/jails/lab")),
        ("GET /bans/active", lambda: server.get("/bans/active")),
        ("POST and DELETE /bans", lambda: (server.send("POST", "/bans", ban), server.send("DELETE", "/bans", ban))),
        ("GET /history/archive", lambda: server.get("/history/archive?page_size=100")),
        ("GET /dashboard/bans/by-country", lambda: server.get("/dashboard/bans/by-country?source=archive&range=7d")),
        ("GET /config/jails", lambda: server.get("/config/jails")),
        ("POST /config/regex-test", lambda: server.send("POST", "/config/regex-test",
                                                        {"log_line": line, "fail_regex": "^failed from <HOST>$"})),
    ]


class Counted(Server):
    """The program under callgrind, its children too; what they count is in the files of `counts`."""

    def __init__(self, program, daemon, directory, *rest, **settings):
        self.counts = os.path.join(directory, "counts")
        os.mkdir(self.counts)
        super().__init__(program, daemon, directory, *rest, **settings)

    def start(self):
        self.arguments = ["valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
                          "--callgrind-out-file=%s/%%p" % self.counts] + self.arguments
        return super().start()

    def count(self, work):
        """The instructions of one `work`, the mean of some in the best of three rounds: timers and caches have their turn now and then."""
        work()
        return min(self.round(work) for _ in range(3))

    def round(self, work):
        self.wait_for_children()
        for name in glob.glob(self.counts + "/*"):
            os.remove(name)
        self.control("--zero")
        for _ in range(TIMES):
            work()
        self.wait_for_children()
        self.control("--dump")
        totals = [total(name) for name in glob.glob(self.counts + "/*")]
        if 0 in totals:
            sys.exit("a child ended before its instructions were written")
        return sum(totals) // TIMES

    def control(self, option):
        subprocess.run(["callgrind_control", option, str(self.process.pid)], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for_children(self):
        place = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        deadline = time.time() + 10
        while open(place).read().strip() and time.time() < deadline:
            time.sleep(0.01)


def total(name):
    found = re.findall(r"^(?:totals|summary): (\d+)", open(name).read(), re.M)
    return int(found[-1]) if found else 0


def wait_for_rows(directory):
    """fail2ban writes its bans down after it has answered."""
    place = glob.glob(directory + "/**/*.sqlite3", recursive=True)[0]
    deadline = time.time() + 60
    while time.time() < deadline:
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % place, uri=True)) as theirs:
            if theirs.execute("SELECT count(*) FROM bans").fetchone()[0] >= BANS:
                return
        time.sleep(0.2)
    sys.exit("fail2ban does not write its bans down")


def wait_for_archive(server):
    # Under valgrind each page of it, which a child reads, takes a second or more.
    deadline = time.time() + 300
    while json.loads(server.get("/history/archive?page_size=1"))["pagination"]["total"] < BANS:
        if time.time() > deadline:
            sys.exit("the archive does not fill")
        time.sleep(0.1)


def with_server(kind, program, daemon, directory, each):
    """What `each` gives for a server of this kind and each request, by the request's name."""
    place = os.path.join(directory, kind.__name__)
    os.mkdir(place)
    # Under valgrind /proc/self/exe, by which the program starts its children, is valgrind.
    server = kind(program, daemon, place, os.path.join(directory, "etc"), BANGUI_SELF=program, **SETTINGS)
    try:
        server.log_in()
        wait_for_archive(server)
        return {name: each(server, work) for name, work in requests(server)}
    finally:
        server.process.kill()


def memory_after(server, work):
    work()
    return server.memory()


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def compare(counts, made_with):
    """True where no request takes more than it may."""
    baseline = json.load(open(BASELINE))
    if baseline["made_with"] != made_with:
        print("LEFT OUT: nothing was compared, for the baseline was made with %(compiler)s and fail2ban %(fail2ban)s" % baseline["made_with"])
        return True
    worse = {name: count for name, count in counts.items() if count > baseline["instructions"].get(name, 0) * (1 + TOLERANCE)}
    for name, count in worse.items():
        print("%s takes %d instructions, %d in the baseline; mend it, or say in the commit why and write the baseline anew (--write)"
              % (name, count, baseline["instructions"].get(name, 0)))
    return not worse


def main(program, option=None):
    with tempfile.TemporaryDirectory(prefix="bangui-cost-") as directory:
        daemon = Daemon(directory)
        try:
            daemon.ban(BANS)
            wait_for_rows(directory)
            made_with = {"compiler": output_of("rustc", "--version"), "fail2ban": daemon.call("version")}
            try:
                counts = with_server(Counted, program, daemon, directory, Counted.count)
            except (OSError, subprocess.SubprocessError) as error:
                # Containers may forbid what valgrind is asked through.
                print("LEFT OUT: valgrind cannot count here: %s" % error)
                return
            memory = with_server(Server, program, daemon, directory, memory_after)
        finally:
            daemon.stop()
    print("%-44s %14s %16s %16s" % ("with 1 000 bans", "instructions", "KiB resident", "KiB anonymous"))
    for name, count in counts.items():
        print("%-44s %14d %16d %16d" % (name, count, *memory[name]))
    if option == "--write":
        json.dump({"made_with": made_with, "instructions": counts}, open(BASELINE, "w"), indent=1)
        open(BASELINE, "a").write("\n")
    if option == "--check" and not compare(counts, made_with):
        sys.exit(1)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), *sys.argv[2:])
