"""Measures blocklists: reading a list of a million lines beside `wc -l` and `sort -u` on the same file; 10 000 addresses banned by fail2ban, and
how long another client of the daemon waits meanwhile; 100 000 addresses in a set of our own beside 1000 by fail2ban's own nftables action,
in a network of their own, which needs root. Seeded, so that every run has the same lists. Prints a table; judges nothing.

    tests/bench/blocklists.py PROGRAM
"""

import http.server
import ipaddress
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import serve

LINES = 1_000_000
NETWORK = "--in-a-network-of-its-own"


def address(dice):
    return str(ipaddress.ip_address(dice.randrange(0x2D000000, 0x60000000)))


def mixed_lines(dice):
    """Lines of every form that is read, a third of them plain."""
    start = dice.randrange(0x2D0000, 0x600000) << 8
    forms = [
        lambda: address(dice), lambda: address(dice), lambda: address(dice), lambda: address(dice) + "/24",
        lambda: '"%s","2026-01-01 00:00:00","443"' % address(dice), lambda: address(dice) + " # remark", lambda: address(dice) + " ; SBL1",
        lambda: "# a remark", lambda: address(dice) + "\thost.example", lambda: address(dice) + "\r",
        lambda: "%s-%s" % (ipaddress.ip_address(start), ipaddress.ip_address(start + 255)), lambda: address(dice) + " 255.255.255.0",
        lambda: "2606:%x:%x::%x" % (dice.randrange(65536), dice.randrange(65536), dice.randrange(65536)),
    ]
    return [forms[number % len(forms)]() for number in range(LINES)]


class Lists(http.server.ThreadingHTTPServer):
    """Serves texts by path, on loopback."""

    daemon_threads = True

    def __init__(self):
        self.texts = {}
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path, lines):
        self.texts[path] = ("\n".join(lines) + "\n").encode()
        return "http://127.0.0.1:%d%s" % (self.server_address[1], path)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = self.server.texts[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def timed(words, **how):
    """Seconds of processor time and of the clock that a program takes, and its largest resident memory in KiB."""
    begin = time.perf_counter()
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit("%s ended with %d" % (words[0], status))
    return used.ru_utime + used.ru_stime, time.perf_counter() - begin, used.ru_maxrss


def median_of(rounds, work):
    return [statistics.median(values) for values in zip(*(work() for _ in range(rounds)))]


def reading(program, directory, lists):
    dice = random.Random(7)
    for name, lines in (("plain", [address(dice) for _ in range(LINES)]), ("mixed", mixed_lines(dice))):
        path = os.path.join(directory, name)
        url = lists.url("/" + name, lines)
        with open(path, "wb") as file:
            file.write(lists.texts["/" + name])
        task = os.path.join(directory, "task")
        with open(task, "w") as file:
            json.dump({"Preview": {"url": url, "door": {"allow_private": True}}}, file)
        print("%-44s %8s %9s %9s" % ("%s list of 1 000 000 lines" % name, "cpu s", "Mlines/s", "KiB"))
        runs = [("our child: fetched, read, sorted", [program, "job"], task), ("wc -l", ["wc", "-l", path], None),
                ("sort -u", ["sort", "-u", path], None)]
        for what, words, given in runs:
            cpu, _, _ = median_of(5, lambda: timed(words, stdin=open(given or os.devnull)))
            print("  %-42s %8.3f %9.1f %9s" % (what, cpu, LINES / cpu / 1e6, memory(words, given)))
        del lists.texts["/" + name]


def memory(words, given):
    """The largest resident memory of a program in KiB, looked at while it runs: what the system tells at its end may be that of whoever
    has started it."""
    child = subprocess.Popen(words, stdin=open(given or os.devnull), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    largest = 0
    while child.poll() is None:
        try:
            text = open("/proc/%d/status" % child.pid).read()
        except OSError:
            continue
        if os.path.basename(words[0]).split("-")[0] in text.split("\n", 1)[0]:
            largest = max([largest] + [int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:")])
    return largest


def with_action(command):
    """Has the daemon ban by a command."""
    def prepare(etc):
        with open(os.path.join(etc, "action.d", "bench.conf"), "w") as file:
            file.write("[Definition]\nactionban = %s\nactionunban = true\nactionflush = true\n" % command)
        with open(os.path.join(etc, "jail.local"), "w") as file:
            file.write("[DEFAULT]\nbanaction_allports = bench\n")
    return prepare


def with_nftables(etc):
    """Has the daemon ban by its own nftables action."""
    for name in os.listdir("/etc/fail2ban/action.d"):
        if name.startswith("nftables"):
            shutil.copy("/etc/fail2ban/action.d/" + name, os.path.join(etc, "action.d"))
    with open(os.path.join(etc, "jail.local"), "w") as file:
        file.write("[DEFAULT]\nbanaction_allports = nftables-allports\nport = 0:65535\nprotocol = tcp\nchain = INPUT\n")


class Pings:
    """Another client of the daemon, which asks all the time."""

    def __init__(self, daemon):
        self.path, self.waits, self.ends = daemon.socket, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        client = serve.Daemon.__new__(serve.Daemon)
        client.stream = socket.socket(socket.AF_UNIX)
        client.stream.connect(self.path)
        while not self.ends.is_set():
            begin = time.perf_counter()
            client.raw("ping")
            self.waits.append(time.perf_counter() - begin)
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()


def banning(program, lists, count, what, prepare):
    with tempfile.TemporaryDirectory(prefix="bangui-bench-") as directory:
        daemon = serve.Daemon(directory, prepare)
        server = serve.Server(program, daemon, directory, BANGUI_ALLOW_PRIVATE_FETCH="1", BANGUI_RATE_LIMIT_IMPORT="0")
        try:
            server.log_in()
            dice = random.Random(3)
            # The first import makes the jail; what follows is bans only.
            source = server.send("POST", "/blocklists", {"name": "bench", "url": lists.url("/first", [address(dice)])})["id"]
            server.send("POST", "/blocklists/import")
            server.send("PUT", "/blocklists/%d" % source, {"url": lists.url("/bans", [address(dice) for _ in range(count)])})
            with Pings(daemon) as quiet:
                time.sleep(5)
            before, took = server.idle_memory(), [0.0]

            def work():
                begin = time.perf_counter()
                done = server.send("POST", "/blocklists/import")
                took[0] = time.perf_counter() - begin
                if done["errors_count"]:
                    sys.exit(json.dumps(done))

            with Pings(daemon) as pings:
                slowest, _ = serve.beside_health(server, work)
            waits, idle = sorted(pings.waits), max(quiet.waits)
            print("%-48s %6.1f s, %4.0f bans/s; /health %.1f ms at most" % (what, took[0], count / took[0], slowest * 1e3))
            print("%-48s %.1f ms at most, %.1f ms in 99 of 100, %.1f ms in half; without an import %.1f ms at most"
                  % ("  ping of another client meanwhile", waits[-1] * 1e3, waits[len(waits) * 99 // 100] * 1e3,
                     waits[len(waits) // 2] * 1e3, idle * 1e3))
            print("%-48s %d KiB resident before, %d KiB after" % ("  the server meanwhile", before[0], server.idle_memory()[0]))
        finally:
            server.process.kill()
            daemon.stop()


def setting(program, lists, count):
    for mode, tools in (("nft", ["nft"]), ("ipset", ["ipset", "iptables", "ip6tables"])):
        missing = [tool for tool in tools if not shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin")]
        if missing:
            print("%-48s skipped: %s is not installed" % ("%d addresses by %s" % (count, mode), missing[0]))
            continue
        with tempfile.TemporaryDirectory(prefix="bangui-bench-") as directory:
            daemon = serve.Daemon(directory, with_action("true"))
            server = serve.Server(program, daemon, directory, BANGUI_ALLOW_PRIVATE_FETCH="1", BANGUI_RATE_LIMIT_IMPORT="0",
                                  BANGUI_BLOCKLIST_MODE=mode)
            try:
                server.log_in()
                dice = random.Random(3)
                lines = sorted({address(dice) for _ in range(count)})
                server.send("POST", "/blocklists", {"name": "bench", "url": lists.url("/set", lines)})
                before, took = server.idle_memory(), [0.0]

                def work():
                    begin = time.perf_counter()
                    done = server.send("POST", "/blocklists/import")
                    took[0] = time.perf_counter() - begin
                    if done["total_imported"] != len(lines):
                        sys.exit(json.dumps(done))

                slowest, _ = serve.beside_health(server, work)
                if not all(is_in_force(mode, one) for one in (lines[0], lines[-1])):
                    sys.exit("the set does not hold what was imported")
                print("%-48s %6.2f s; /health %.1f ms at most; %d KiB resident before, %d KiB after"
                      % ("%d addresses in force by %s" % (len(lines), mode), took[0], slowest * 1e3, before[0], server.idle_memory()[0]))
            finally:
                server.process.kill()
                daemon.stop()


def is_in_force(mode, one):
    if mode == "ipset":
        return subprocess.run(["ipset", "test", "bangui-blocklist4", one], stderr=subprocess.DEVNULL).returncode == 0
    ask = lambda letter: subprocess.run(["nft", "get", "element", "inet", "bangui", "blocklist4_" + letter, "{ %s }" % one],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    return ask("a") or ask("b")


def main(program):
    lists = Lists()
    if NETWORK in sys.argv:
        setting(program, lists, 100_000)
        banning(program, lists, 1000, "1000 by fail2ban's own nftables action", with_nftables)
        return
    with tempfile.TemporaryDirectory(prefix="bangui-bench-") as directory:
        reading(program, directory, lists)
    banning(program, lists, 10_000, "10 000 by fail2ban, an action that does nothing", with_action("true"))
    banning(program, lists, 1000, "1000 by fail2ban, an action of 15 ms", with_action("sleep 0.015"))
    inside = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", sys.executable, __file__, program, NETWORK]
    if os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        subprocess.run(inside, check=True)
    else:
        print("sets of our own: skipped, because only root may make a network to try them in")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
