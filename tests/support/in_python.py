# SPDX-License-Identifier: MIT
"""Lines of Python's multiprocessing, run for real: as they are meant, and after a process that takes part was killed with SIGKILL.

A scene is a function (lines, dies) that prepares what the lines name, has somebody die if it is told to, runs the lines, and returns what the
last one gave. outcome() plays it in a process group of its own, all of which is killed afterwards; one that does not come to its end is HANGS.
"""
import multiprocessing
import os
import queue
import select
import signal
import subprocess

from gangerd import PR_SET_PDEATHSIG, Child, eventually, libc

HANGS = "hangs"
HANG_BOUND = 1.0  # seconds, when everybody is there or dead: what is not done by then never is
PLAY_BOUND = 20.0
DEADLY = set()  # arguments of which f() dies; workers inherit it
context = multiprocessing.get_context("fork")
say = None  # in a scene: what the test hears
kept = []  # in a scene: what must not be cleaned up before it is over, which may hang


def outcome(scene, lines, dies=False):
    """What the scene's last line gave, as repr() has it; the exception that it raised; HANGS."""
    child = Child(play, scene, lines, dies)
    try:
        heard = hear(child, PLAY_BOUND)
        if heard != "begin":
            raise AssertionError(f"{scene.__name__} did not begin: {heard}")
        return hear(child, HANG_BOUND if dies else PLAY_BOUND) or HANGS
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.end()


def hear(child, bound):
    ready, _, _ = select.select([child.pipe], [], [], bound)
    line = child.pipe.readline() if ready else "\n"
    if not line:
        raise AssertionError("the scene's process ended without a word")
    return line.rstrip("\n")


def play(out, scene, lines, dies):
    global say
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.register_at_fork(after_in_child=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def say(text):
        out.write(text + "\n")
    try:
        result = repr(scene(lines, dies))
    except Exception as error:  # it is what the test wants to hear
        result = type(error).__name__
    say(result)
    os._exit(0)  # without waiting for processes that hang


def run(lines, **names):
    """The lines one after another; the value of the last one, None of a statement."""
    say("begin")
    names = {**{name: getattr(context, name) for name in multiprocessing.__all__ if hasattr(context, name)}, "f": f, **names}
    kept.append(names)
    value = None
    for line in lines:
        try:
            code = compile(line, line, "eval")
        except SyntaxError:
            value = exec(line, names)
        else:
            value = eval(code, names)
    return value, names


def last(lines, **names):
    return run(lines, **names)[0]


def f(*xs):
    if DEADLY.intersection(xs):
        os.kill(os.getpid(), signal.SIGKILL)
    return xs[0] if len(xs) == 1 else xs


def killed(target, *arguments, until=None):
    """A process that runs the function, then waits, and is killed: when it has come to its end, or when `until` says so."""
    reader, writer = os.pipe()

    def body():
        target(*arguments)
        os.write(writer, b"!")
        signal.pause()
    process = context.Process(target=body)
    process.start()
    if until:
        eventually(until)
    else:
        os.read(reader, 1)
    process.kill()
    process.join()
    return process


# -- Process --

def process_start(lines, dies):
    """Of one that dies: whether its child lives on."""
    reader, writer = os.pipe()

    def with_a_child():
        with subprocess.Popen(["sleep", "60"]) as child:
            os.write(writer, str(child.pid).encode())
    _, names = run(lines, f=with_a_child if dies else f)
    process = names["p"]
    if not dies:
        process.join()
        return process.exitcode
    child = int(os.read(reader, 20))
    process.kill()
    process.join()
    with open(f"/proc/{child}/stat", encoding="ascii") as stat:
        return "ended" if stat.read().rpartition(")")[2].split()[0] == "Z" else "lives on"


def with_process(lines, dies):
    if dies:
        return last(lines, p=killed(f))
    process = context.Process(target=signal.pause if "terminate" in lines[0] else f)
    process.start()
    if "exitcode" in lines[0]:
        process.join()
    value = last(lines, p=process)
    process.join(PLAY_BOUND)
    return value, process.exitcode


# -- Pool --

def with_pool(lines, dies):
    if dies:
        DEADLY.update({42, 2})
    return last(lines, pool=context.Pool(2))


def with_pool_unordered(lines, dies):
    return sorted(with_pool(lines, dies))


def pool_goes_on(lines, dies):
    """How many of the others come of those that a pool yields one by one."""
    if dies:
        DEADLY.add(2)
    got = []
    pool = context.Pool(1)
    source = last([lines[0].removeprefix("list(").removesuffix(")")], pool=pool)
    try:
        while True:
            got.append(source.next(timeout=HANG_BOUND / 2))
    except StopIteration:
        return "ends", got
    except multiprocessing.TimeoutError:
        return HANGS, got


def max_tasks(lines, dies):
    """How many processes did 20 tasks; of one that dies at a task: whether another one works then."""
    DEADLY.add(42)
    _, names = run(lines)
    pool = names["pool"]
    if dies:
        before = pool.apply(os.getpid)
        pool.apply_async(f, (42,))
        return pool.apply(os.getpid) != before
    return len({pool.apply(os.getpid) for _ in range(20)})


def max_tasks_caller(lines, dies):
    DEADLY.add(42)
    _, names = run(lines)
    return names["pool"].apply(f, (42,))


def initializer(lines, dies):
    """How often it has run."""
    count = context.Value("i")

    def counted():
        with count.get_lock():
            count.value += 1
    DEADLY.add(42)
    _, names = run(lines, f=counted)
    pool = names["pool"]
    if dies:
        pool.apply_async(f, (42,))
    pool.apply(os.getpid)
    return count.value


# -- what is passed on --

def with_queue(lines, dies):
    """One dies that waits for an item."""
    q = context.Queue()
    if dies:
        killed(q.get, until=lambda: not q._rlock.acquire(False) or q._rlock.release())
    return last(lines, q=q)


def queue_item(lines, dies):
    """One dies that has taken the item: who else can get it?"""
    q = context.Queue()
    last(lines[:1], q=q)
    killed(q.get)
    try:
        return q.get(timeout=HANG_BOUND / 2)
    except queue.Empty:
        return "lost"


def with_joinable_queue(lines, dies):
    q = context.JoinableQueue()
    if dies:
        q.put(0)
        killed(q.get)
    return last(lines, q=q)


def with_pipe(lines, dies):
    """The one dies that would send."""
    a, b = context.Pipe()
    if dies:
        killed(a.fileno)
        lines = lines[-1:]
    return last(lines, a=a, b=b)


def pipe_of_two(lines, dies):
    a, b = context.Pipe()
    process = context.Process(target=signal.pause)
    process.start()
    a.close()
    process.kill()
    return last(lines[-1:], b=b)


# -- what is shared --

def with_value(lines, dies):
    v = context.Value("i")
    if dies:
        killed(v.get_lock().acquire)
    run(lines, v=v)
    return v.value


def with_array(lines, dies):
    a = context.Array("i", 4)
    if dies:
        killed(a.get_lock().acquire)
    run(lines, a=a)
    return a[:]


def with_manager(make):
    """The object's text, after one died that had run the lines too; or after the manager itself has died."""
    def scene(lines, dies):
        manager = context.Manager()
        kept.append(manager)
        shared = make(manager)
        names = {"d": shared, "l": shared, "ns": shared}
        if dies == "manager":
            os.kill(manager._process.pid, signal.SIGKILL)
        elif dies:
            killed(exec, lines[0], names)
            say("begin")
            return str(shared)
        run(lines, **names)
        return str(shared)
    return scene


with_dict = with_manager(lambda manager: manager.dict())
with_list = with_manager(lambda manager: manager.list())
with_namespace = with_manager(lambda manager: manager.Namespace())


# -- who waits for whom --

def with_lock(make):
    def scene(lines, dies):
        lock = make()
        if dies:
            killed(lock.acquire)
        return last(lines, lock=lock, s=lock)
    return scene


one_lock = with_lock(context.Lock)
recursive_lock = with_lock(context.RLock)


def semaphore(lines, dies):
    """How many places are left."""
    s = context.Semaphore(2)
    if dies:
        killed(s.acquire)
    run(lines, s=s)
    return s.get_value()


def with_event(lines, dies):
    """One dies that waits for it."""
    e = context.Event()
    if dies:
        killed(e.wait, until=lambda: e._cond._sleeping_count.get_value() == 1)
    return last(lines, e=e)


def condition(lines, dies):
    """The first line waits, the second notifies."""
    c = context.Condition()

    def wait():
        exec(lines[0], {"c": c})

    def sleeps():
        return c._sleeping_count.get_value() == 1
    if dies:
        killed(wait, until=sleeps)
        return last(lines[1:], c=c)
    process = context.Process(target=wait)
    process.start()
    eventually(sleeps)
    last(lines[1:], c=c)
    process.join()
    return process.exitcode


def barrier(lines, dies):
    """Both numbers."""
    b = context.Barrier(2)
    if dies:
        killed(b.wait, until=lambda: b.n_waiting == 1)
    reader, writer = os.pipe()
    if not dies:
        context.Process(target=lambda: os.write(writer, str(b.wait()).encode())).start()
    return sorted([last(lines, b=b), int(os.read(reader, 1))])
