# SPDX-License-Identifier: MIT
"""bench_shared.py PROGRAM ROUNDS: ganger's shared objects (PROGRAM is bench_shared, with libganger) beside Python's multiprocessing, which
does the same work with as many processes. One round of each after the other; medians, and how they compare. Judges nothing."""
import multiprocessing
import platform
import statistics
import subprocess
import sys
import time

context = multiprocessing.get_context("fork")
ITEM = b"0123456789abcdef" * 4


def by_processes(*works):
    """Operations' time in seconds: from the first one's begin to the last one's end."""
    start = context.Barrier(len(works))
    times = context.Array("d", 2 * len(works), lock=False)

    def take_part(index, work):
        start.wait()
        times[2 * index] = time.monotonic()
        work()
        times[2 * index + 1] = time.monotonic()
    processes = [context.Process(target=take_part, args=pair) for pair in enumerate(works)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode != 0:
            sys.exit("bench_shared.py: a process failed")
    return max(times[1::2]) - min(times[::2])


def value(n_processes, n):
    v = context.Value("q")

    def add():
        for _ in range(n):
            with v.get_lock():
                v.value += 1
    seconds = by_processes(*[add] * n_processes)
    assert v.value == n_processes * n
    return n_processes * n / seconds


def manager_value(n_processes, n):
    with context.Manager() as manager:
        v, lock = manager.Value("q", 0), manager.Lock()

        def add():
            for _ in range(n):
                with lock:
                    v.value += 1
        seconds = by_processes(*[add] * n_processes)
        assert v.value == n_processes * n
    return n_processes * n / seconds


def locked(lock, n_processes, n):
    def work():
        for _ in range(n):
            lock.acquire()
            lock.release()
    return n_processes * n / by_processes(*[work] * n_processes)


def lock(n_processes, n):
    return locked(context.Lock(), n_processes, n)


def manager_lock(n_processes, n):
    with context.Manager() as manager:
        return locked(manager.Lock(), n_processes, n)


def passed(q, n):
    """One process puts them, one at a time, the other one gets them."""
    def put():
        for _ in range(n):
            q.put(ITEM)

    def get():
        for _ in range(n):
            q.get()
    return n / by_processes(put, get)


def queue(_, n):
    return passed(context.Queue(), n)


def manager_queue(_, n):
    with context.Manager() as manager:
        return passed(manager.Queue(), n)


# What is done: ganger's works, and Python's with the same number of processes. Each with so many operations of a process.
TABLE = [
    ("add to a value, 1 process", 1, {"under its lock": ("value-lock", 1000000), "atomically": ("value-atomic", 1000000)},
     {"Value, its lock": (value, 50000), "Manager().Value, Lock": (manager_value, 500)}),
    ("add to a value, 8 processes", 8, {"under its lock": ("value-lock", 100000), "atomically": ("value-atomic", 100000)},
     {"Value, its lock": (value, 20000), "Manager().Value, Lock": (manager_value, 50)}),
    ("acquire and release a lock, 1 process", 1, {"lock by name": ("lock", 5000), "a value's own": ("memory-lock", 1000000)},
     {"Lock": (lock, 100000), "Manager().Lock": (manager_lock, 1000)}),
    ("acquire and release a lock, 8 processes", 8, {"lock by name": ("lock", 1000), "a value's own": ("memory-lock", 100000)},
     {"Lock": (lock, 20000), "Manager().Lock": (manager_lock, 100)}),
    ("pass items of 64 bytes, one process to one", 2, {"each put, each got, waited for": ("queue-each", 5000),
                                                        "each put, 256 on the way": ("queue-ahead", 100000), "256 a put": ("queue-batch", 200000)},
     {"Queue": (queue, 50000), "Manager().Queue": (manager_queue, 2000)}),
]


def main():
    program, rounds = sys.argv[1], int(sys.argv[2])
    print(f"shared objects, by C programs, beside multiprocessing of Python {platform.python_version()}: operations a second, medians of {rounds} "
          "interleaved rounds")
    for what, n_processes, ours, theirs in TABLE:
        found = {name: [] for name in [*ours, *theirs]}
        for _ in range(rounds):
            for name, (work, n) in ours.items():
                line = [program, work, str(n_processes), str(n)]
                found[name].append(float(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout))
            for name, (function, n) in theirs.items():
                found[name].append(function(n_processes, n))
        medians = {name: statistics.median(rates) for name, rates in found.items()}
        print(what)
        for name in theirs:
            print(f"  {name:34}{medians[name]:>13,.0f}")
        for name in ours:
            ratios = ", ".join(f"{medians[name] / medians[other]:.2f} x {other}" for other in theirs)
            print(f"  ganger: {name:26}{medians[name]:>13,.0f}   {ratios}")


if __name__ == "__main__":
    main()
