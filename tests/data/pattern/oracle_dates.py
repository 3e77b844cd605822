"""Answers with the installed fail2ban's own date detector, for the tests of `pattern`. Run with TZ set.

Reads a JSON object per line, {"pattern": null or "...", "zone": null or "...", "now": seconds, "lines": [...]}, and answers
with {"error": "..."} or {"found": [null, "error" or [seconds or null, start, end], ...]}, positions in characters.
"""
import json
import logging
import os
import re
import sys
import warnings

warnings.simplefilter("ignore")
sys.path.insert(0, os.environ["FAIL2BAN_MODULES"])
logging.disable(logging.CRITICAL)

from fail2ban.server.datedetector import DateDetector  # noqa: E402
from fail2ban.server.mytime import MyTime  # noqa: E402


def detector(request):
    made = DateDetector()
    made.default_tz = request["zone"]
    for pattern in filter(None, map(str.strip, re.split("\n+", request["pattern"] or ""))):
        made.appendTemplate(pattern)
    # Templates are shared by all detectors of a process, and so are their hits.
    for template in DateDetector._defCache.templates:
        template.hits = 0
    for entry in made.templates:
        entry.template.hits = 0
    return made


def find(made, line):
    try:
        match = made.matchTime(line)
        if match[0] is None:
            return None
        span = match[0].span(1)
        date = made.getTime(line[span[0]:span[1]], match) if span[0] < span[1] else None
        return [date and date[0], span[0], span[1]]
    except Exception as error:
        return "error"


for text in sys.stdin:
    request = json.loads(text)
    MyTime.setTime(request["now"])
    try:
        made = detector(request)
        answer = {"found": [find(made, line) for line in request["lines"]]}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
