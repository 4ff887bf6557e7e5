# SPDX-License-Identifier: MIT
"""The same work through Python's own pools.

    peer_python.py POOL one SECONDS
    peer_python.py POOL many SECONDS OUTSTANDING
    peer_python.py POOL map N payloads|numbers
    peer_python.py apply large SECONDS BYTES

POOL: apply (one only), imap_unordered, map: of multiprocessing.Pool; executor: concurrent.futures.ProcessPoolExecutor. Two workers. What
comes back is held against what was sent. Prints what the C programs print."""
import concurrent.futures
import json
import multiprocessing
import sys
import threading
import time

WORKERS = 2
PAYLOAD_BYTES = 64
context = multiprocessing.get_context("fork")


def echo(value):
    return value


def payload(number):
    return number.to_bytes(8, "little") + b"." * (PAYLOAD_BYTES - 8)


TURN = bytes(range(255, -1, -1))


def turned(data):
    """Every byte turned over, at the speed of C."""
    return data.translate(TURN)


def large_round_trips(pool, seconds, size):
    samples, number = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(samples) < 3:
        number = (number + 1) % 256
        begin = time.monotonic()
        back = pool.apply(turned, (bytes([number]) * size,))
        check(len(back), back.count(255 - number))
        samples.append((time.monotonic() - begin) * 1e6)
    samples.sort()
    return {"p50": samples[len(samples) // 2], "p99": samples[len(samples) * 99 // 100], "max": samples[-1], "n": len(samples)}


def check(sent, back):
    if sent != back:
        sys.exit("peer_python.py: what came back is not what was sent")


def round_trips(call, seconds):
    samples, number = [], 0
    begin = time.monotonic()
    counted = begin + seconds / 10
    end = counted + seconds
    while begin < end:
        number += 1
        value = payload(number)
        check(value, call(value))
        done = time.monotonic()
        if begin >= counted:
            samples.append((done - begin) * 1e6)
        begin = done
    samples.sort()
    return {"p50": samples[len(samples) // 2], "p99": samples[len(samples) * 99 // 100], "max": samples[-1], "n": len(samples)}


def flood_of_imap(pool, seconds, outstanding):
    """Never more than so many outstanding: the feeder waits for places."""
    places = threading.Semaphore(outstanding)
    began = time.monotonic()
    sent = back = n = 0

    def values():
        nonlocal sent
        number = 0
        while time.monotonic() < began + seconds:
            places.acquire()
            number += 1
            sent += number
            yield payload(number)
    for value in pool.imap_unordered(echo, values(), chunksize=1):
        places.release()
        back += int.from_bytes(value[:8], "little")
        n += 1
    took = time.monotonic() - began
    check(sent, back)
    return {"rate": n / took, "n": n}


def flood_of_executor(executor, seconds, outstanding):
    began = time.monotonic()
    number = sent = back = n = 0
    waiting = set()
    while time.monotonic() < began + seconds:
        while len(waiting) < outstanding:
            number += 1
            sent += number
            waiting.add(executor.submit(echo, payload(number)))
        done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
        n += len(done)
        back += sum(int.from_bytes(future.result()[:8], "little") for future in done)
    took = time.monotonic() - began
    back += sum(int.from_bytes(future.result()[:8], "little") for future in waiting)
    check(sent, back)
    return {"rate": n / took, "n": n}


def map_all(pool, n, kind):
    items = [payload(number) for number in range(1, n + 1)] if kind == "payloads" else list(range(1, n + 1))
    began = time.monotonic()
    results = pool.map(echo, items)
    took = time.monotonic() - began
    check(items, results)
    return {"rate": n / took, "n": n}


def main():
    kind, what, amount, *more = sys.argv[1:]
    if kind == "executor":
        with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context) as executor:
            if what == "one":
                found = round_trips(lambda value: executor.submit(echo, value).result(), float(amount))
            else:
                found = flood_of_executor(executor, float(amount), int(more[0]))
    else:
        with context.Pool(WORKERS) as pool:
            if what == "one":
                found = round_trips(lambda value: pool.apply(echo, (value,)), float(amount))
            elif what == "large":
                found = large_round_trips(pool, float(amount), int(more[0]))
            elif what == "many":
                found = flood_of_imap(pool, float(amount), int(more[0]))
            else:
                found = map_all(pool, int(amount), more[0])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
