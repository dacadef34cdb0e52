"""Runs handler.py for leat: one event a line, one response a line, until standard input ends."""

import json
import sys

from handler import handler

responses, sys.stdout = sys.stdout, sys.stderr  # what the handler prints is for the log
for line in sys.stdin:
    try:
        response = handler(json.loads(line), None)
    except Exception as e:  # as Lambda tells of it; leat finds the record that causes it
        response = {"errorMessage": str(e), "errorType": type(e).__name__}
    print(json.dumps(response), file=responses, flush=True)
