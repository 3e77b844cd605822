"""Measures a running server against a private fail2ban: latency beside the daemon's own answer over its raw socket,
taken in turn in the same run, memory, start, and requests a second. Prints a table; judges nothing."""

import http.client
import json
import os
import pickle
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from languages import every_jail

END = b"<F2B_END_COMMAND>"
PASSWORD = "Correct1!horse"


class Str(pickle.Unpickler):
    """The daemon's replies hold str objects only; nothing else is ever called."""

    def find_class(self, module, name):
        if name in ("str", "unicode"):
            return str
        return lambda *args: (name, args)


class Daemon:
    """A private fail2ban with a jail whose action does nothing, and a raw connection to it. `prepare` may add to its files before it starts."""

    def __init__(self, directory, prepare=lambda etc: None):
        self.directory = directory
        etc = os.path.join(directory, "etc")
        for part in ("action.d", "filter.d", "jail.d"):
            os.makedirs(os.path.join(etc, part))
        write = lambda name, text: open(os.path.join(etc, name), "w").write(text)
        self.socket = os.path.join(directory, "f.sock")
        write("fail2ban.conf", "[DEFAULT]\nallowipv6 = auto\n[Definition]\nloglevel = ERROR\nlogtarget = %s/f.log\nsyslogsocket = auto\n"
              "socket = %s\npidfile = %s/f.pid\ndbfile = %s/f.db\ndbmaxmatches = 10\ndbpurgeage = 1d\n[Thread]\nstacksize = 0\n"
              % (directory, self.socket, directory, directory))
        write("action.d/noop.conf", "[Definition]\nactionban = true\nactionunban = true\nactionflush = true\n")
        write("filter.d/lab.conf", "[Definition]\nfailregex = ^failed from <HOST>$\n")
        open(os.path.join(directory, "lab.log"), "w").close()
        jails = "".join("[%s]\nenabled = true\nfilter = lab\nlogpath = %s/lab.log\naction = %s\nbackend = polling\nbantime = 7d\n"
                        % (name, directory, action) for name, action in (("lab", ""), ("other", "noop")))
        write("jail.conf", "[DEFAULT]\nmaxretry = 5\nfindtime = 10m\nusedns = no\n" + jails)
        prepare(etc)
        self.process = subprocess.Popen(["fail2ban-server", "-xf", "-c", etc, "-s", self.socket, "-p", os.path.join(directory, "f.pid"),
                                         "start"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 20
        while True:
            try:
                self.stream = socket.socket(socket.AF_UNIX)
                self.stream.connect(self.socket)
                if self.call("ping") == "pong":
                    break
            except OSError:
                if time.time() > deadline:
                    sys.exit("fail2ban did not start; see %s" % directory)
                time.sleep(0.05)

    def raw(self, *words):
        """Sends a command and reads the answer without looking into it."""
        self.stream.sendall(pickle.dumps(list(words), 2) + END)
        parts, tail = [], b""
        while True:
            part = self.stream.recv(1 << 20)
            if not part:
                raise OSError("closed")
            parts.append(part)
            tail = (tail + part)[-len(END):]
            if tail == END:
                return b"".join(parts)[:-len(END)]

    def call(self, *words):
        import io
        code, value = Str(io.BytesIO(self.raw(*words))).load()
        if code:
            raise RuntimeError(value)
        return value

    def ban(self, count):
        addresses = ["10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255) for n in range(count)]
        for start in range(0, count, 1000):
            self.call("set", "lab", "banip", *addresses[start:start + 1000])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Server:
    """The program under test."""

    def __init__(self, program, daemon, directory, config=None, **settings):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("BANGUI_")}
        environment.update(BANGUI_RATE_LIMIT_SESSION="0", BANGUI_RATE_LIMIT_ANONYMOUS="0", BANGUI_LOG_LEVEL="warn", **settings)
        self.arguments = [program, "serve", "--listen", "127.0.0.1:0", "--database", os.path.join(directory, "b.db"),
                          "--fail2ban-socket", daemon.socket, "--fail2ban-config", config or os.path.join(directory, "etc")]
        self.environment = environment
        self.start()

    def start(self):
        begin = time.perf_counter()
        self.process = subprocess.Popen(self.arguments, env=self.environment, stderr=subprocess.PIPE)
        line = self.process.stderr.readline().decode()
        self.port = int(re.search(r":(\d+)\s*$", line).group(1))
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
        self.connection.request("GET", "/api/v1/setup")
        self.connection.getresponse().read()
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        return time.perf_counter() - begin

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def log_in(self):
        body, kind = json.dumps({"master_password": PASSWORD}), {"Content-Type": "application/json"}
        self.connection.request("POST", "/api/v1/setup", body, kind)
        self.connection.getresponse().read()
        self.connection.request("POST", "/api/v1/auth/login", json.dumps({"password": PASSWORD}), kind)
        answer = self.connection.getresponse()
        answer.read()
        self.token = re.search("bangui_session=([0-9a-f]+)", answer.getheader("set-cookie")).group(1)

    def send(self, method, path, body=None):
        """A request with a JSON body; the answer's JSON."""
        headers = {"Authorization": "Bearer " + self.token, "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            sys.exit("%s answered %d: %s" % (path, answer.status, text[:300]))
        return json.loads(text)

    def get(self, path, connection=None):
        connection = connection or self.connection
        connection.request("GET", "/api/v1" + path, headers={"Authorization": "Bearer " + self.token})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit("%s answered %d: %s" % (path, answer.status, body[:200]))
        return body

    def memory(self):
        """Resident and anonymous memory in KiB."""
        text = open("/proc/%d/status" % self.process.pid).read()
        return tuple(int(re.search(name + r":\s+(\d+)", text).group(1)) for name in ("VmRSS", "RssAnon"))

    def idle_memory(self):
        """The same after a quiet second, when the program has let go of its code."""
        time.sleep(2)
        return self.memory()


def in_turn(rounds, *works):
    """Each work in each round, in turn; the median seconds of each."""
    times = [[] for _ in works]
    for _ in range(rounds):
        for index, work in enumerate(works):
            begin = time.perf_counter()
            work()
            times[index].append(time.perf_counter() - begin)
    return [statistics.median(each) for each in times]


def row(name, ours, theirs, what):
    print("%-44s %9.2f ms   %9.2f ms  %5.2f x  (%s)" % (name, ours * 1e3, theirs * 1e3, ours / theirs, what))


def beside_health(server, work):
    """Does `work` while another client asks for /health; its slowest answer in seconds, and the server's largest resident memory in KiB."""
    done, slowest, largest = threading.Event(), [0.0], [0]

    def watch():
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        while not done.is_set():
            begin = time.perf_counter()
            connection.request("GET", "/api/v1/health")
            connection.getresponse().read()
            slowest[0] = max(slowest[0], time.perf_counter() - begin)
            largest[0] = max(largest[0], server.memory()[0])
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    time.sleep(0.05)
    work()
    done.set()
    thread.join()
    return slowest[0], largest[0]


def jails_by_hand(daemon):
    """What GET /jails needs of the daemon."""
    daemon.raw("status")
    for jail in ("lab", "other"):
        daemon.raw("status", jail, "short")
        for name in ("findtime", "bantime", "maxretry"):
            daemon.raw("get", jail, name)


def hundred_jails(program, daemon, directory):
    """The list of all jails of the stock configuration, each enabled, and a few more to make a hundred."""
    place = os.path.join(directory, "hundred")
    os.mkdir(place)
    tree = every_jail(os.path.join(place, "etc"))
    have = sum(line.startswith("[") for line in open(os.path.join(tree, "jail.local")))
    with open(os.path.join(tree, "jail.local"), "a") as local:
        for number in range(100 - have):
            local.write("[more%d]\nenabled = true\nfilter = sshd\nlogpath = %s/any.log\n" % (number, tree))
    server = Server(program, daemon, place, tree)
    try:
        server.log_in()
        listed = json.loads(server.get("/config/jails"))["total"]
        row("GET /config/jails, %d jails" % listed, *in_turn(15, lambda: server.get("/config/jails"), lambda: subprocess.run(
            ["fail2ban-client", "-c", tree, "-d"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)), "fail2ban-client -d")
    finally:
        server.process.kill()


def main(program):
    with tempfile.TemporaryDirectory(prefix="bangui-bench-") as directory:
        daemon = Daemon(directory)
        server = Server(program, daemon, directory)
        try:
            measure(daemon, server)
            hundred_jails(program, daemon, directory)
        finally:
            server.process.kill()
            daemon.stop()


def measure(daemon, server):
    starts = []
    for _ in range(7):
        server.stop()
        starts.append(server.start())
    bare = in_turn(7, lambda: subprocess.run([server.arguments[0], "--version"], stdout=subprocess.DEVNULL))[0]
    print("fail2ban %s, program of %.2f MB" % (daemon.call("version"), os.path.getsize(server.arguments[0]) / 1e6))
    row("start to first answer", statistics.median(starts), bare, "its --version, a process that does nothing")
    server.log_in()
    print("%-44s %d KiB resident, %d KiB anonymous" % ("idle", *server.idle_memory()))

    daemon.ban(10_000)
    row("GET /jails, 10 000 bans", *in_turn(200, lambda: server.get("/jails"), lambda: jails_by_hand(daemon)), "the same commands raw")
    row("GET /dashboard/status, 10 000 bans", *in_turn(200, lambda: server.get("/dashboard/status"), lambda: daemon.raw("ping")), "ping raw")
    works = (lambda: server.get("/bans/active"), lambda: daemon.raw("get", "lab", "banip", "--with-time"))
    row("GET /bans/active, 10 000 bans", *in_turn(9, *works), "get lab banip --with-time raw")
    print("%-44s %d KiB resident, %d KiB anonymous" % ("after listings of 10 000", *server.memory()))

    # Here, since the daemon takes a processor of its own for seconds once it has more.
    url = "http://127.0.0.1:%d/api/v1/health" % server.port
    output = subprocess.run(["wrk", "-t1", "-c32", "-d4s", url], capture_output=True, text=True).stdout
    print("%-44s %s" % ("wrk -t1 -c32 /health, 10 000 bans", " ".join(re.search(r"Requests/sec:.*", output).group(0).split())))

    daemon.ban(100_000)
    row("GET /bans/active, 100 000 bans", *in_turn(5, *works), "get lab banip --with-time raw")
    slowest, largest = beside_health(server, lambda: [server.get("/bans/active") for _ in range(3)])
    print("%-44s slowest /health %.1f ms, %d KiB resident at most" % ("meanwhile, for others", slowest * 1e3, largest))
    quiet, _ = beside_health(server, lambda: time.sleep(1))
    print("%-44s slowest /health %.1f ms" % ("for comparison, nothing else asked", quiet * 1e3))

    print("%-44s %s" % ("processors, load", "%d, %.1f" % (os.cpu_count(), os.getloadavg()[0])))


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
