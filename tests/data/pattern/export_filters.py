"""Prints what the installed fail2ban knows of its filters, as JSON, for the tests of `pattern`.

The expanded expressions come from fail2ban's own reader used as a library, the sample lines from its installed test
files; neither is part of this repository. Run with TZ set as the samples expect it (TZ=CET-01CEST-02).

    {"filters": [{"name", "options", "prefregex", "failregex", "ignoreregex", "maxlines", "datepattern", "journal",
                  "lines": [{"line", "at", "note", "time"}]}],
     "stock": [{"name", ... as above without lines}]}
"""
import datetime
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
import warnings

warnings.simplefilter("ignore")
sys.path.insert(0, os.environ["FAIL2BAN_MODULES"])
logging.disable(logging.CRITICAL)

import fail2ban.tests  # noqa: E402
from fail2ban.client.filterreader import FilterReader  # noqa: E402

TESTS = os.path.dirname(fail2ban.tests.__file__)
LOGS = os.path.join(TESTS, "files", "logs")
STOCK = os.environ["FAIL2BAN_STOCK"]
NOTE = re.compile(r"^#+ ?(failJSON|fileOptions|filterOptions|addFILE):(.+)$")


def expand(name, base, options):
    """The filter as the daemon would be told it."""
    reader = FilterReader(name, "jail", dict(options), basedir=base)
    reader.read()
    reader.getOptions({})
    found = {"name": name, "options": options, "prefregex": None, "failregex": [], "ignoreregex": [],
             "maxlines": 1, "datepattern": None}
    for command in reader.convert():
        values = command[3] if command[0] == "multi-set" else [command[3]]
        for value in values:
            if command[2] == "addfailregex":
                found["failregex"].append(value)
            elif command[2] == "addignoreregex":
                found["ignoreregex"].append(value)
            elif command[2] == "maxlines":
                found["maxlines"] = int(value)
            elif command[2] in ("prefregex", "datepattern"):
                found[command[2]] = value
    return found


def local_time(text):
    """An annotated time as seconds since the epoch, in the zone of this process."""
    whole, _, fraction = text.partition(".")
    parsed = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return time.mktime(parsed.timetuple()) + (float("0." + fraction) if fraction else 0)


def holds(condition, name, options):
    """Evaluates a condition of the installed sample files, such as `name == 'sshd'`."""
    return condition is None or eval(condition, {"__builtins__": {}}, {"name": name, "opts": options})


class Samples:
    """Walks the sample files of one filter and collects the lines each set of options gets to see."""

    def __init__(self, name, base):
        self.name, self.base = name, base
        self.instances, self.active = {}, []
        self.common = {}

    def activate(self, variants):
        self.active = []
        for given in variants:
            options = {**self.common, **given}
            if not holds(options.get("test.condition"), self.name, options):
                continue
            plain = {key: value for key, value in options.items() if not key.startswith("test.")}
            key = options.get("test.filter-name") or (str(plain) if plain else "")
            if key not in self.instances:
                found = expand(self.name, self.base, plain)
                found.update(journal=options.get("logtype") == "journal", lines=[])
                self.instances[key] = found
            self.active.append((self.instances[key], options))

    def add(self, line, note, at):
        if not self.active:
            self.activate([{}])
        for instance, options in self.active:
            if not holds(note.get("constraint"), self.name, options):
                continue
            text = line
            if instance["journal"]:
                text = options.get("test.prefix-line", "") + text
            when = local_time(note["time"]) if note.get("time") else None
            instance["lines"].append({"line": text, "at": at, "note": note, "time": when})

    def walk(self):
        files, blocked = [self.name], False
        for file in files:
            path = os.path.join(LOGS, file)
            with open(path, "rb") as handle:
                lines = [raw.decode("utf-8", "replace") for raw in handle.read().split(b"\n")]
            note = None
            for number, line in enumerate(lines, 1):
                line = line.rstrip("\r")
                at = "%s:%d" % (file, number)
                found = NOTE.match(line) if note is None else None
                if found:
                    value = json.loads(found.group(2))
                    if found.group(1) == "failJSON":
                        note = value
                    elif found.group(1) == "addFILE":
                        files.append(value)
                    elif found.group(1) == "fileOptions":
                        self.common = value
                    else:
                        variants = value if isinstance(value, list) else [value]
                        self.activate(variants)
                        last = {**self.common, **variants[-1]}
                        blocked = not holds(last.get("test.condition"), self.name, last)
                    continue
                if note is None and (line.startswith("#") or not line.strip()):
                    continue
                if not blocked:
                    self.add(line, note or {}, at)
                note = None
        return list(self.instances.values())


def examples(directory):
    """The example filters, which include `config/filter.d/common.conf` seven directories up, four in later releases, in a tree of that shape."""
    target = os.path.join(directory, "1", "2", "3", "4", "5", "config", "filter.d")
    shutil.copytree(os.path.join(TESTS, "config", "filter.d"), target)
    os.symlink(STOCK, os.path.join(directory, "config"))
    os.symlink(STOCK, os.path.join(directory, "1", "2", "3", "config"))
    return os.path.dirname(target)


def main():
    with tempfile.TemporaryDirectory() as directory:
        export(examples(directory))


def export(base_of_examples):
    names = [(name[:-5], STOCK) for name in sorted(os.listdir(os.path.join(STOCK, "filter.d")))
             if name.endswith(".conf") and not name.endswith("common.conf")]
    stock = [expand(name, base, {}) for name, base in names]
    names += [(name[:-5], base_of_examples) for name in sorted(os.listdir(os.path.join(base_of_examples, "filter.d")))
              if name.startswith("zzz-") and name.endswith(".conf")]
    filters = []
    for name, base in names:
        if os.path.exists(os.path.join(LOGS, name)):
            filters.extend(Samples(name, base).walk())
        else:
            print("no samples for %s" % name, file=sys.stderr)
    json.dump({"filters": filters, "stock": stock}, sys.stdout)


main()
