"""Measures the archive: a first copy beside requests, then the charts of a year beside plain GROUP BY over the same rows, lists and
single addresses, and memory. Seeded, so that every run has the same bans. Prints a table; judges nothing.

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
        return (json.loads(content) if content else None), {name.lower(): value for name, value in answer.getheaders()}

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
        part = [row for row, _ in zip(rows, range(5000))]
        if not part:
            return connection.close()
        connection.executemany("INSERT INTO bans VALUES(?,?,?,?,?,?)", part)
        connection.commit()


def copy_beside_requests(server, number):
    """Waits until that many are there, asking all the while; the slowest answer in ms, its memory, and how long it took."""
    done, waits, memory = threading.Event(), [], [0]

    def poll():
        connection = server.connect()
        while not done.is_set():
            start = time.perf_counter()
            server.get("/api/v1/health", connection)
            waits.append((time.perf_counter() - start) * 1000)
            time.sleep(0.001)

    thread = threading.Thread(target=poll)
    start = time.perf_counter()
    thread.start()
    while server.total() < number:
        memory[0] = max(memory[0], server.anonymous_kib())
        time.sleep(0.1)
    taken = time.perf_counter() - start
    done.set()
    thread.join()
    waits.sort()
    print("first copy of %d rows: %.1f s; %d requests beside it: median %.2f ms, 99.9 %% %.1f ms, slowest %.1f ms; anonymous memory %d KiB"
          % (number, taken, len(waits), statistics.median(waits), waits[int(len(waits) * 0.999)], waits[-1], memory[0]))


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
        try:
            copy_beside_requests(server, first)
            insert(database, bans(number - first, boundary, now - 10, 2))
            while server.total() < number:
                time.sleep(0.5)
            measure(server, number)
        finally:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait()


def measure(server, number):
    connection = server.connect()
    ours = {}
    for name in RANGES:
        for chart in CHARTS:
            path = "/api/v1/dashboard/bans/%s?source=archive&range=%s" % (chart, name)
            ours[chart, name] = median_ms(lambda: server.get(path, connection))
    health = median_ms(lambda: server.get("/api/v1/health", connection))
    archive = "/api/v1/history/archive?page_size=100"
    page = median_ms(lambda: server.get(archive, connection))
    cursor, last = None, server.get(archive + "&page=%d" % (number // 100), connection)
    before = server.get(archive + "&page=%d" % (number // 100 - 1), connection)
    cursor = before["pagination"]["next_cursor"]
    by_cursor = median_ms(lambda: server.get(archive + "&cursor=" + cursor, connection))
    by_page = median_ms(lambda: server.get(archive + "&page=%d" % (number // 100), connection), 5)
    address = last["items"][-1]["ip"]
    one = median_ms(lambda: server.get("/api/v1/history/" + address, connection))
    search = median_ms(lambda: server.get(archive + "&ip=" + address.rsplit(".", 2)[0] + ".", connection), 5)
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
    print("history, 100 rows: first page %.2f ms, last by cursor %.2f ms, last by number %.2f ms, search by prefix %.2f ms; one address %.2f ms"
          % (page, by_cursor, by_page, search, one))
    print("memory: anonymous %d KiB, peak resident with the mapped file %d KiB; archive %d MB for %d rows"
          % (anonymous, peak, os.path.getsize(server.database) // 1_000_000, number))


if __name__ == "__main__":
    main()
