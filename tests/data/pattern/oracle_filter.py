"""Answers with the installed fail2ban's own filter, as a daemon runs it, for the tests of `pattern`. Run with TZ set.

Reads a JSON object per line, {"definition": {"prefregex", "failregex", "ignoreregex", "maxlines", "datepattern"}, "now": seconds,
"lines": [...]}, and answers with {"found": [null or [host, seconds or null] or "timeout", ...]}: the failure that each line leads
to. A timeout ends the answer.
"""
import json
import logging
import os
import signal
import sys
import warnings

warnings.simplefilter("ignore")
sys.path.insert(0, os.environ["FAIL2BAN_MODULES"])
logging.disable(logging.CRITICAL)

from fail2ban.server.filter import Filter  # noqa: E402
from fail2ban.server.mytime import MyTime  # noqa: E402


class Late(BaseException):
    pass


def late(*_):
    raise Late


def build(definition):
    made = Filter(None)
    # Host names stay names, and dates are taken as they are, however old.
    made.returnRawHost, made.checkFindTime = True, False
    made.setMaxLines(definition["maxlines"])
    made.prefRegex = definition["prefregex"]
    for expression in definition["failregex"]:
        made.addFailRegex(expression)
    for expression in definition["ignoreregex"]:
        made.addIgnoreRegex(expression)
    if definition["datepattern"]:
        made.setDatePattern(definition["datepattern"])
    for entry in made.dateDetector.templates:
        # Templates are shared by all detectors of a process, and so are their hits.
        entry.template.hits = 0
    return made


def judge(made, line):
    found = made.processLine(line)
    if not found or found[0][1] is None:
        return None
    return [str(found[0][1]), found[0][2]]


def judge_all(made, lines):
    found = []
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        for line in lines:
            found.append(judge(made, line))
    except Late:
        found.append("timeout")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found


signal.signal(signal.SIGALRM, late)
for text in sys.stdin:
    request = json.loads(text)
    MyTime.setTime(request["now"])
    print(json.dumps({"found": judge_all(build(request["definition"]), request["lines"])}), flush=True)
