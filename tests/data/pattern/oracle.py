"""Answers with Python's own `re`, line by line, for the tests of `pattern`.

Reads a JSON object per line, {"pattern", "multiline", "texts"}, and answers with one per line: {"error": "..."}, or
{"names": {name: number}, "results": [null, "timeout" or [[start, end] or null, ...], ...]} with positions in characters.
"""
import json
import re
import signal
import sys
import warnings

warnings.simplefilter("ignore")


class Late(Exception):
    pass


def late(*_):
    raise Late


def answer(request):
    try:
        compiled = re.compile(request["pattern"], re.MULTILINE if request["multiline"] else 0)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        return {"error": str(error)}
    results = []
    for text in request["texts"]:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            found = compiled.search(text)
            results.append(found and [None if span == (-1, -1) else span for span in
                                      (found.span(group) for group in range(compiled.groups + 1))])
        except Late:
            results.append("timeout")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return {"names": dict(compiled.groupindex), "results": results}


signal.signal(signal.SIGALRM, late)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
