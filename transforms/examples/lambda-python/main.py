"""Runs handler.py for leat: one event a line, one response a line, until standard input ends."""

import json
import sys

from handler import handler

responses, sys.stdout = sys.stdout, sys.stderr  # what the handler prints is for the log
for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), None)), file=responses, flush=True)
