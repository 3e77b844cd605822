"""Measures the archive: a first copy beside requests, fail2ban's own database as a source, then the charts of a year beside plain GROUP BY
over the same rows, lists, searches, all bans of a country, single addresses, and memory. Seeded, so that every run has the same bans.
What others wait for meanwhile stands beside what they wait for on a server that does nothing, and beside what a plain fsync takes in the
same directory at the same time: the machine or its disk may be busy, too.
Prints a table; judges nothing.

    tests/bench/archive.py PROGRAM [COUNTRY.mmdb] [ROWS]

Without a file, one that anybody may use is fetched from npm into target/geo, where there is npm.
"""

import http.client
import json
import os
import random
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PASSWORD = "Correct1!horse"
PACKAGE = "@ip-location-db/geo-whois-asn-country-mmdb"
YEAR = 365 * 86400
SCHEMA = """PRAGMA synchronous = OFF; CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(4);
CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL, bancount INTEGER NOT NULL DEFAULT 1, data JSON);
CREATE INDEX bans_jail_timeofban_ip ON bans(jail, timeofban); CREATE INDEX bans_jail_ip ON bans(jail, ip); CREATE INDEX bans_ip ON bans(ip);
CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL, bancount INTEGER NOT NULL DEFAULT 1,
data JSON, PRIMARY KEY(ip, jail));"""
CHARTS = ("by-country", "trend", "by-jail")
RANGES = {"24h": 3600, "7d": 6 * 3600, "30d": 86400, "365d": 7 * 86400}
BUCKETS = {"24h": 24, "7d": 28, "30d": 30, "365d": 53}


def country_file():
    """A country database from npm, kept in target/geo; None where there is no npm."""
    path = "target/geo/package/geo-whois-asn-country.mmdb"
    if not os.path.exists(path):
        os.makedirs("target/geo", exist_ok=True)
        try:
            subprocess.run("npm pack --silent %s && tar xf *.tgz" % PACKAGE, shell=True, cwd="target/geo", check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            return None
    return os.path.abspath(path)


def bans(number, start, end, seed):
    """Bans in the order of their time: few networks send most of them."""
    dice = random.Random(seed)
    networks = [(dice.randrange(1, 224), dice.randrange(256)) for _ in range(4000)]
    jails = ["sshd", "sshd", "sshd", "nginx-http-auth", "postfix", "recidive", "blocklist-import", "dovecot"]
    data = b'{"matches": ["Nov 22 04:05:08 host sshd[123]: Failed password for root from an address port 4 ssh2"], "failures": 5}'
    for moment in sorted(dice.randrange(start, end) for _ in range(number)):
        first, second = networks[min(int(dice.expovariate(1 / 600)), 3999)]
        address = "%d.%d.%d.%d" % (first, second, dice.randrange(256), dice.randrange(256))
        yield (dice.choice(jails), address, moment, 600, 1, data)


class Server:
    """The program with an archive of one database."""

    def __init__(self, program, directory, database, country):
        self.database = os.path.join(directory, "bangui.db")
        environment = dict(os.environ, BANGUI_FAIL2BAN_DATABASE_PATH=database, BANGUI_ARCHIVE_SECONDS="2", BANGUI_ARCHIVE_DAYS="0",
                           BANGUI_RATE_LIMIT_SESSION="0", BANGUI_RATE_LIMIT_ANONYMOUS="0")
        if country:
            environment["BANGUI_GEOIP_DB_PATH"] = country
        self.process = subprocess.Popen([program, "--listen", "127.0.0.1:0", "--database", self.database, "--fail2ban-socket",
                                         os.path.join(directory, "none.sock"), "--log-level", "error"], env=environment, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)$", self.process.stderr.readline().strip()).group(1))
        self.token = None
        self.ask("POST", "/api/v1/setup", {"master_password": PASSWORD})
        login = self.ask("POST", "/api/v1/auth/login", {"password": PASSWORD})
        self.token = re.search("bangui_session=([^;]*)", login[1]["set-cookie"]).group(1)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def ask(self, method, path, body=None, connection=None):
        connection = connection or self.connect()
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 400 and not path.endswith("/health"):
            raise SystemExit("%s: %d %s" % (path, answer.status, content[:200]))
        return (json.loads(content) if content else None), {name.lower(): ", ".join(answer.headers.get_all(name)) for name in answer.headers}

    def get(self, path, connection=None):
        return self.ask("GET", path, connection=connection)[0]

    def total(self):
        return self.get("/api/v1/history/archive?page_size=1")["pagination"]["total"]

    def anonymous_kib(self):
        with open("/proc/%d/smaps_rollup" % self.process.pid) as text:
            return int(re.search(r"^Anonymous:\s+(\d+)", text.read(), re.M).group(1))

    def peak_kib(self):
        with open("/proc/%d/status" % self.process.pid) as text:
            return int(re.search(r"^VmHWM:\s+(\d+)", text.read(), re.M).group(1))


def median_ms(work, times=30):
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def insert(database, rows):
    """As the daemon does, in short transactions."""
    connection = sqlite3.connect(database, timeout=30)
    while True:
        part = [row for _, row in zip(range(5000), rows)]
        if not part:
            return connection.close()
        connection.executemany("INSERT INTO bans VALUES(?,?,?,?,?,?)", part)
        connection.commit()


class Beside:
    """Asks a server for /health all the while, and one that does nothing in turn, watches the memory of the first, and syncs a file beside its
    database."""

    def __init__(self, server, idle):
        self.server, self.done, self.memory = server, threading.Event(), 0
        self.waits, self.idle_waits, self.syncs = [], [], []
        self.pairs = [(server, self.waits)] + ([(idle, self.idle_waits)] if idle else [])

    def __enter__(self):
        self.threads = [threading.Thread(target=work) for work in (self.poll, self.sync)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()
        for taken in (self.waits, self.idle_waits, self.syncs):
            taken.sort()

    def sync(self):
        with open(self.server.database + "-beside", "wb", buffering=0) as file:
            while not self.done.wait(0.01):
                file.write(bytes(4096))
                start = time.perf_counter()
                os.fsync(file)
                self.syncs.append((time.perf_counter() - start) * 1000)

    def poll(self):
        pairs = [(server, server.connect(), waits) for server, waits in self.pairs]
        while not self.done.is_set():
            for server, connection, waits in pairs:
                start = time.perf_counter()
                server.get("/api/v1/health", connection)
                waits.append((time.perf_counter() - start) * 1000)
            if len(self.waits) % 50 == 1:
                self.memory = max(self.memory, self.server.anonymous_kib())
            time.sleep(0.001)

    def __str__(self):
        if not self.waits or not self.syncs:
            return "too short for anybody to wait"
        text = lambda waits: "median %.2f, 99.9 %% %.1f, slowest %.1f ms" % (statistics.median(waits), waits[int(len(waits) * 0.999)], waits[-1])
        idle = "; on a server that does nothing: " + text(self.idle_waits) if self.idle_waits else ""
        return "%d requests of others: %s%s; a plain fsync: %s; anonymous memory at most %d KiB" % (
            len(self.waits), text(self.waits), idle, text(self.syncs), self.memory)


def copy_beside_requests(server, number, idle=None):
    """Waits until that many are there."""
    start = time.perf_counter()
    with Beside(server, idle) as beside:
        while server.total() < number:
            time.sleep(0.1)
    print("first copy of %d rows: %.1f s; %s" % (number, time.perf_counter() - start, beside))


def child_peak_kib(server, work):
    """The largest anonymous memory of any child meanwhile."""
    done, peak = threading.Event(), [0]

    def watch():
        while not done.is_set():
            for child in open("/proc/%d/task/%d/children" % ((server.process.pid,) * 2)).read().split():
                try:
                    text = open("/proc/%s/status" % child).read()
                    peak[0] = max(peak[0], int(re.search(r"^RssAnon:\s+(\d+)", text, re.M).group(1)))
                except (OSError, AttributeError):
                    pass
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    work()
    done.set()
    thread.join()
    return peak[0]


def ask_fail2ban(server, number):
    """The same questions to fail2ban's own database, which a child reads from end to end."""
    connection = server.connect()
    for name, path in (("by-country", "/by-country"), ("trend", "/trend"), ("by-jail", "/by-jail"), ("list, first page", ""),
                       ("all bans of a country", "/by-country?country_code=US")):
        target = "/api/v1/dashboard/bans" + path + ("&" if "?" in path else "?") + "source=fail2ban&range=365d"
        taken = []
        peak = child_peak_kib(server, lambda: taken.append(median_ms(lambda: server.get(target, connection), 5)))
        print("source=fail2ban, %d rows, %-22s %6.0f ms, child %d KiB" % (number, name, taken[0], peak))


def plain(connection, chart, name):
    """The same question by GROUP BY over the rows."""
    bucket = RANGES[name]
    origin = 4 * 86400 if name == "365d" else 0
    now = int(time.time())
    end = now - (now - origin) % bucket + bucket
    start = end - BUCKETS[name] * bucket
    what = {"by-country": "country", "by-jail": "jail", "trend": "banned_at / %d" % bucket}[chart]
    sql = "SELECT %s, count(*) FROM archive WHERE banned_at >= ? AND banned_at < ? GROUP BY 1" % what
    return median_ms(lambda: connection.execute(sql, (start, end)).fetchall(), 5)


def main():
    program = os.path.abspath(sys.argv[1])
    country = sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] else country_file()
    number = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        database = os.path.join(directory, "fail2ban.sqlite3")
        sqlite3.connect(database).executescript(SCHEMA)
        now = int(time.time())
        first = min(100_000, number // 2)
        boundary = now - YEAR + YEAR * first // number
        insert(database, bans(first, now - YEAR, boundary, 1))
        server = Server(program, directory, database, country)
        aside = os.path.join(directory, "aside")
        os.mkdir(aside)
        idle = Server(program, aside, os.path.join(aside, "none.sqlite3"), None)
        try:
            copy_beside_requests(server, first, idle)
            ask_fail2ban(server, first)
            insert(database, bans(number - first, boundary, now - 10, 2))
            while server.total() < number:
                time.sleep(0.5)
            measure(server, number, idle)
        finally:
            for one in (server, idle):
                one.process.send_signal(signal.SIGTERM)
                one.process.wait()


def long_questions(server, number, idle):
    """What looks at many rows goes in steps, so that nobody else waits for it."""
    archive = "/api/v1/history/archive?page_size=100"
    works = (("page %d by number" % (number // 100), archive + "&page=%d" % (number // 100)), ("search for 2", archive + "&ip=2"),
             ("all bans of a country", "/api/v1/dashboard/bans/by-country?source=archive&range=365d&country_code=US"))
    for name, target in works:
        # Another process reads it, for this one measures meanwhile.
        answer = os.path.join(os.path.dirname(server.database), "answer")
        url = "http://127.0.0.1:%d%s" % (server.port, target)
        with Beside(server, idle) as beside:
            start = time.perf_counter()
            subprocess.run(["curl", "-sf", "-o", answer, "-H", "Authorization: Bearer " + server.token, url], check=True)
            taken = time.perf_counter() - start
        content = json.load(open(answer))
        rows = len(content.get("bans", content.get("items")))
        print("%-24s %8.0f ms, %d rows; %s" % (name, taken * 1000, rows, beside))


def measure(server, number, idle=None):
    connection = server.connect()
    ours = {}
    for name in RANGES:
        for chart in CHARTS:
            path = "/api/v1/dashboard/bans/%s?source=archive&range=%s" % (chart, name)
            ours[chart, name] = median_ms(lambda: server.get(path, connection))
    health = median_ms(lambda: server.get("/api/v1/health", connection))
    archive = "/api/v1/history/archive?page_size=100"
    page = median_ms(lambda: server.get(archive, connection))
    last = server.get(archive + "&page=%d" % (number // 100), connection)
    cursor = server.get(archive + "&page=%d" % (number // 100 - 1), connection)["pagination"]["next_cursor"]
    by_cursor = median_ms(lambda: server.get(archive + "&cursor=" + cursor, connection))
    address = last["items"][-1]["ip"]
    one = median_ms(lambda: server.get("/api/v1/history/" + address, connection))
    search = median_ms(lambda: server.get(archive + "&ip=" + address.rsplit(".", 2)[0] + ".", connection), 5)
    long_questions(server, number, idle)
    anonymous, peak = server.anonymous_kib(), server.peak_kib()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait()
    rows = sqlite3.connect(server.database)
    rows.execute("PRAGMA cache_size = -64000")
    print("%-6s %-11s %10s %14s %8s" % ("range", "chart", "ours [ms]", "GROUP BY [ms]", "ratio"))
    for name in RANGES:
        for chart in CHARTS:
            grouped = plain(rows, chart, name)
            print("%-6s %-11s %10.2f %14.2f %8.0f" % (name, chart, ours[chart, name], grouped, grouped / ours[chart, name]))
    print("a request that asks nothing (health): %.2f ms, which is in all of ours" % health)
    print("history, 100 rows: first page %.2f ms, last by cursor %.2f ms, search for two numbers %.2f ms; one address %.2f ms"
          % (page, by_cursor, search, one))
    print("memory: anonymous %d KiB, peak resident with the mapped file %d KiB; archive %d MB for %d rows; load %.1f"
          % (anonymous, peak, os.path.getsize(server.database) // 1_000_000, number, os.getloadavg()[0]))


if __name__ == "__main__":
    main()
