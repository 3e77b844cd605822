"""Measures what a page asks for all day, beside the daemon's own answer over its raw socket: with 10 000 bans and with 100 000, which are
in the archive as well. Prints a table; judges nothing.

    pages.py PROGRAM

"processor" is what the server itself took of a processor for one request, which other work on the machine hardly changes; "answer" is the
median time until its client had it, and "daemon" that of the daemon's whole list, asked for in turn with it.
"""

import json
import os
import sys
import tempfile
import time

from serve import Daemon, Server, in_turn

ROUNDS = 15
# With 10 000 bans, with 100 000, in milliseconds.
LIMITS = (2, 3)
PAGES = [
    ("/jails/lab/banned?page_size=50", "a page of a jail"),
    ("/jails/lab/banned?page_size=50&sort=-expires_at", "  sorted by the end"),
    ("/jails/lab/banned?page_size=50&search=10.0.7", "  searched"),
    ("/jails/lab/banned?page_size=50&page=100&sort=ip", "  page 100, sorted by address"),
    ("/bans/active?page_size=50", "a page of all bans"),
    ("/bans/active?page_size=50&sort=-banned_at", "  sorted by the start"),
    ("/bans/active?page_size=50&sort=country", "  sorted by the country"),
    ("/bans/active?page_size=50&q=.77&sort=-ip", "  searched and sorted"),
    ("/dashboard/status", "dashboard/status"),
    ("/dashboard/summary", "dashboard/summary"),
    ("/dashboard/bans?source=archive&page_size=50", "dashboard/bans, archive"),
    ("/dashboard/bans?source=fail2ban&page_size=50", "dashboard/bans, fail2ban"),
    ("/dashboard/bans/by-country?source=fail2ban", "dashboard/bans/by-country, fail2ban"),
    ("/history?source=archive&page_size=50", "history, archive"),
    ("/history?source=fail2ban&page_size=50", "history, fail2ban"),
    ("/history?source=archive&page_size=50&q=10.0.7", "history, searched by q"),
    ("/history/repeaters?page_size=50", "history/repeaters"),
    ("/addresses/10.0.7.7", "one address"),
    ("/config/jails", "config/jails"),
    ("/config/filters", "config/filters"),
    ("/config/actions", "config/actions"),
]


def processor(server):
    """Seconds that the server itself has taken of a processor."""
    return int(open("/proc/%d/schedstat" % server.process.pid).read().split()[0]) / 1e9


def measure(server, daemon, count, limit):
    raw = lambda: daemon.raw("get", "lab", "banip", "--with-time")
    wait_for_archive(server, count)
    print("%-40s %12s %12s %12s %8s %8s" % ("%d bans, ms" % count, "processor", "answer", "daemon", "ratio", "limit"))
    for path, name in PAGES:
        # What is made once and remembered has been made then; filters are judged over several answers.
        for _ in range(4):
            server.get(path)
        ask = lambda: server.get(path)
        begin = processor(server)
        for _ in range(ROUNDS):
            ask()
        own = (processor(server) - begin) / ROUNDS
        answer, theirs = in_turn(5, ask, raw)
        print("%-40s %12.2f %12.2f %12.2f %7.0fx %8s" % (name, own * 1e3, answer * 1e3, theirs * 1e3, theirs / answer, limit))
    print("%-40s %.1f" % ("load", os.getloadavg()[0]))


def wait_for_archive(server, count):
    deadline = time.time() + 300
    while json.loads(server.get("/history/archive?page_size=1"))["pagination"]["total"] < count:
        if time.time() > deadline:
            sys.exit("the archive does not fill")
        time.sleep(0.2)


def main(program):
    with tempfile.TemporaryDirectory(prefix="bangui-bench-") as directory:
        daemon = Daemon(directory)
        server = Server(program, daemon, directory, BANGUI_ARCHIVE_SECONDS="10")
        try:
            server.log_in()
            for count, limit in zip((10_000, 100_000), LIMITS):
                daemon.ban(count)
                measure(server, daemon, count, limit)
        finally:
            server.process.kill()
            daemon.stop()


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
