"""Measures the configuration language and the regex dialect, whole process against whole process: `dump-config` beside
`fail2ban-client -d`, `test-filter` beside `fail2ban-regex`, in turn. Prints a table; judges nothing."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SAMPLES = "/usr/lib/python3/dist-packages/fail2ban/tests/files/logs"
LINES = 20_000


def in_turn(rounds, *commands):
    """The median seconds of each command; their output goes nowhere."""
    times = [[] for _ in commands]
    for _ in range(rounds):
        for index, command in enumerate(commands):
            begin = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            times[index].append(time.perf_counter() - begin)
    return [statistics.median(each) for each in times]


def row(name, ours, theirs, what):
    print("%-44s %9.2f ms   %9.2f ms  %5.1f x as fast  (%s)" % (name, ours * 1e3, theirs * 1e3, theirs / ours, what))


def every_jail(directory):
    """A copy of the stock configuration with every jail enabled, each with a log file that exists."""
    shutil.copytree("/etc/fail2ban", directory, symlinks=True)
    log = os.path.join(directory, "any.log")
    open(log, "w").close()
    names = [line.strip()[1:-1] for line in open(os.path.join(directory, "jail.conf"), encoding="utf-8") if line.startswith("[")]
    with open(os.path.join(directory, "jail.local"), "w") as local:
        for name in names:
            if name not in ("DEFAULT", "INCLUDES"):
                local.write("[%s]\nenabled = true\nlogpath = %s\n" % (name, log))
    return directory


def main(program):
    with tempfile.TemporaryDirectory(prefix="bangui-bench-") as directory:
        full = every_jail(os.path.join(directory, "full"))
        for name, tree in (("stock configuration", "/etc/fail2ban"), ("every jail enabled", full)):
            row("dump-config, " + name, *in_turn(9, [program, "dump-config", "--fail2ban-config", tree],
                                                 ["fail2ban-client", "-c", tree, "-d"]), "fail2ban-client -d")
        for name in ("sshd", "apache-auth", "postfix"):
            lines = [line for line in open(os.path.join(SAMPLES, name), encoding="utf-8", errors="replace") if not line.startswith("#")]
            log = os.path.join(directory, name + ".log")
            with open(log, "w") as out:
                out.writelines(lines[index % len(lines)] for index in range(LINES))
            row("test-filter %s, %d lines" % (name, LINES), *in_turn(3, [program, "test-filter", name, "--json", log],
                                                                     ["fail2ban-regex", log, name]), "fail2ban-regex")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
