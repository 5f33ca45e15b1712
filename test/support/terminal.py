"""Runs a command on a terminal of its own and answers what it asks.

argv: a JSON list of [prompt, answer] pairs (a prompt is a regular expression that
must match what the terminal has shown since the last answer), then the command.
Prints what the terminal showed; ends with the command's status, or with 97 when a
prompt doesn't come within a minute.
"""
import json
import os
import pty
import re
import select
import sys
import time

answers = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

shown = ''
since = ''
waiting_from = time.monotonic()
while True:
    if answers and re.search(answers[0][0], since):
        os.write(terminal, answers.pop(0)[1].encode())
        since = ''
        waiting_from = time.monotonic()
        continue
    ready, _, _ = select.select([terminal], [], [], 1)
    if ready:
        try:
            text = os.read(terminal, 65536).decode(errors='replace')
        except OSError:
            break
        if text == '':
            break
        shown += text
        since += text
    elif time.monotonic() - waiting_from > 60:
        print(shown)
        print(f'\nnever asked: {answers[:1]}')
        os.kill(pid, 9)
        sys.exit(97)
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
