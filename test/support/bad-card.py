"""A disk with one fault, for nbdkit's python plugin; ./bad-card.ts starts it.

Parameters, all in bytes: file (what the card really holds), size (what it
announces), and what is wrong with it:
  real=N beyond=wraps|lost|error   it holds only N bytes
  write_error=AT, read_error=AT    requests over this byte fail with EIO
  flip_write=AT, flip_read=AT      the lowest bit of this byte is turned
  dead=FROM-END                    what is written there is dropped
  written=PATH                     a file that says how many bytes were written
"""
import errno
import os

import nbdkit

API_VERSION = 2
settings = {}
state = {"written": 0}


def config(key, value):
    settings[key] = value


def number(key):
    return int(settings[key]) if key in settings else None


def config_complete():
    state["fd"] = os.open(settings["file"], os.O_RDWR)
    for key in ("size", "real", "write_error", "read_error", "flip_write", "flip_read"):
        state[key] = number(key)
    dead = settings.get("dead")
    state["dead"] = None if dead is None else tuple(int(part) for part in dead.split("-"))
    if "written" in settings:
        state["counter"] = os.open(settings["written"], os.O_RDWR | os.O_CREAT, 0o644)


def open(readonly):
    return 1


def get_size(handle):
    return state["size"]


def can_flush(handle):
    return True


def flush(handle, flags):
    pass


def covers(offset, length, at):
    return at is not None and offset <= at < offset + length


def fail(number):
    nbdkit.set_error(number)
    raise OSError(number, os.strerror(number))


def parts(offset, length):
    """Pieces of a request and where they really lie; None: nowhere."""
    real = state["real"]
    while length > 0:
        if real is None:
            yield offset, length
            return
        beyond = offset >= real
        if beyond and settings["beyond"] == "error":
            fail(errno.EIO)
        count = min(length, real - offset % real)
        yield (None if beyond and settings["beyond"] == "lost" else offset % real), count
        offset, length = offset + count, length - count


def pread(handle, buffer, offset, flags):
    length = len(buffer)
    if covers(offset, length, state["read_error"]):
        fail(errno.EIO)
    at = 0
    for place, count in parts(offset, length):
        data = b"\0" * count if place is None else os.pread(state["fd"], count, place)
        buffer[at : at + count] = data
        at += count
    flip = state["flip_read"]
    if covers(offset, length, flip):
        buffer[flip - offset] ^= 1


def pwrite(handle, buffer, offset, flags):
    length = len(buffer)
    if covers(offset, length, state["write_error"]):
        fail(errno.EIO)
    data = bytearray(buffer)
    flip = state["flip_write"]
    if covers(offset, length, flip):
        data[flip - offset] ^= 1
    dead = state["dead"]
    at = 0
    for place, count in parts(offset, length):
        if place is not None:
            for start, end in alive(place, place + count, dead):
                piece = data[at + start - place : at + end - place]
                os.pwrite(state["fd"], piece, start)
        at += count
    if "counter" in state:
        state["written"] += length
        os.pwrite(state["counter"], b"%016d" % state["written"], 0)


def alive(start, end, dead):
    """What of [start, end) is kept."""
    if dead is None or end <= dead[0] or start >= dead[1]:
        return [(start, end)]
    return [(a, b) for a, b in ((start, dead[0]), (dead[1], end)) if a < b]
