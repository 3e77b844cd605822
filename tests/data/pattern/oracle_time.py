"""Says how long Python's own `re` takes for a search, for the tests of `pattern::cost`.

Reads a JSON object `{"pattern", "text", "limit"}` per line and answers with the seconds of processor time that a search takes, or
with `null` when it takes more than `limit`, and is then given up. Time of the processor, so that other programs do not count.
"""
import json
import re
import signal
import sys
import time
import warnings

warnings.simplefilter("ignore")


class Late(Exception):
    pass


def late(*_):
    raise Late


signal.signal(signal.SIGPROF, late)
for line in sys.stdin:
    request = json.loads(line)
    compiled = re.compile(request["pattern"])
    taken = None
    started = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_PROF, request["limit"])
        compiled.search(request["text"])
        taken = time.process_time() - started
    except Late:
        pass
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(taken), flush=True)
