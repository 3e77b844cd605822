"""Answers with Python's own `re` for the tests of `pattern`.

Reads a JSON object per line and answers with one per line. `{"texts": [...]}` sets the texts to search, and is answered
with `{}`. `{"pattern", "multiline", "texts": null or [...]}` searches those texts or its own, and is answered with
`{"error": "..."}`, or `{"names": {name: number}, "found": [[index, [[start, end] or null, ...] or "timeout"], ...]}`:
the texts with a match, and the positions of its groups in characters.
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


def answer(request, shared):
    try:
        compiled = re.compile(request["pattern"], re.MULTILINE if request["multiline"] else 0)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        return {"error": str(error)}
    found = []
    own = request["texts"]
    for index, text in enumerate(shared if own is None else own):
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            match = compiled.search(text)
            if match:
                spans = [match.span(group) for group in range(compiled.groups + 1)]
                found.append([index, [None if span == (-1, -1) else span for span in spans]])
        except Late:
            found.append([index, "timeout"])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return {"names": dict(compiled.groupindex), "found": found}


signal.signal(signal.SIGALRM, late)
texts = []
for line in sys.stdin:
    request = json.loads(line)
    if "pattern" in request:
        print(json.dumps(answer(request, texts)), flush=True)
    else:
        texts = request["texts"]
        print("{}", flush=True)
