"""What hostile code does inside a cluster. Each act is a program that the notebook's process runs in a child.

An act may touch only what the trial names to it (`PREY`) and what no machine but its own sees: without
namespaces it runs among everything else on this machine. All of its processes hold one file open, the
witness, so that they are found whatever they call themselves.
"""

from __future__ import annotations

PRELUDE = """
import ctypes, json, mmap, os, signal, socket, sys, time
WORK = os.environ["HOME"]
os.set_inheritable(os.open(WORK + "/witness", os.O_RDONLY | os.O_CREAT), True)
libc = ctypes.CDLL(None, use_errno=True)

def say(what):
    with open(f"{WORK}/.said", "w") as file:
        json.dump(what, file)
    os.rename(f"{WORK}/.said", f"{WORK}/said-{ACT}")

def shielded():
    for number in set(range(1, 65)) - {9, 17, 19, 32, 33}:
        signal.signal(number, signal.SIG_IGN)

def stay():
    shielded()
    os.chdir("/")
    while True:
        time.sleep(60)

def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
"""

_STAY = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(9999)"

ACTS = {
    "leaves its family": f"""
for turns in range(1, 5):
    for _ in range(turns):
        if os.fork():
            break
        os.setsid()
    else:
        os.chdir("/")
        os.execve(sys.executable, ["sleep", "-I", "-S", "-c", {_STAY!r}], {{}})
    if turns > 1 and _ > 0:
        os._exit(0)
say("gone")
""",
    "heeds no signal": """
say("deaf")
stay()
""",
    "runs without its first thread": """
import threading
shielded()
os.setsid()
os.chdir("/")
threading.Thread(target=time.sleep, args=(9999,)).start()
say("headless")
libc.pthread_exit(None)
""",
    "changes its name": """
libc.prctl(15, b"systemd", 0, 0, 0)
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
for start, end in ((45, 46), (47, 48)):
    ctypes.memset(ctypes.c_void_p(int(fields[start])), 0, int(fields[end]) - int(fields[start]))
os.setsid()
say(open("/proc/self/comm").read().strip())
stay()
""",
    "forks and forks": """
made = 0
while made < 200:
    try:
        if os.fork() == 0:
            stay()
    except OSError:
        break
    made += 1
say(made)
stay()
""",
    "holds a port": """
holder = socket.create_server(("127.0.0.1", 0))
say(holder.getsockname()[1])
stay()
""",
    "mounts": """
hear, tell = os.pipe()
if os.fork():
    say(os.read(hear, 9).decode())
    stay()
apart = libc.unshare(0x10000000 | 0x00020000 | 0x20000000) == 0
if apart and os.fork():
    stay()
mounted = apart and libc.mount(b"none", WORK.encode(), b"tmpfs", 0, None) == 0
os.write(tell, b"mounted" if mounted else b"refused")
stay()
""",
    "comes again": """
shielded()
os.setsid()
other = os.getpid()
if os.fork() == 0:
    say("twins")
else:
    other = 0
while True:
    if other == 0 or not alive(other):
        mine, other = os.getpid(), os.fork()
        if other == 0:
            os.setsid()
            other = mine
    time.sleep(0.01)
""",
    "runs from process to process": """
shielded()
say("running")
while True:
    if os.fork():
        os._exit(0)
    time.sleep(0.002)
""",
    "traces others": """
def attached(pid):
    if libc.ptrace(16, pid, None, None) != 0:
        return False
    os.waitpid(pid, 0x40000000)
    libc.ptrace(17, pid, None, None)
    return True

say([pid for pid in PREY["pids"] if attached(pid)])
""",
    "writes elsewhere": """
done = []
for path in PREY["files"]:
    try:
        with open(path, "w") as file:
            file.write("hostile")
        done.append(path)
    except OSError:
        pass
say(done)
""",
    "eats memory": """
hog = mmap.mmap(-1, PREY["bytes"])
for place in range(0, len(hog), 4096):
    hog[place] = 1
say("fed")
stay()
""",
}
"""Name and program; `say` tells the trial what came of it."""

KILLS_ALL = """
apart = os.readlink("/proc/self/ns/pid") != PREY["namespace"]
shielded()
say("killing" if apart else "refused: this is the machine's own namespace")
if apart:
    for target in (1, os.getppid(), -1):
        try:
            os.kill(target, 9)
        except OSError:
            pass
"""
"""Ends all that it can; where that would be the whole machine, it refuses."""

KILLS_ITS_GUARDIAN = """
if os.fork():
    os._exit(0)
os.setsid()
shielded()
os.environ.clear()
if os.fork():
    os.execve(sys.executable, ["sleep", "-I", "-S", "-c", "import time; time.sleep(9999)"], {})
for pid in PREY["guardians"]:
    try:
        os.kill(pid, 9)
    except OSError:
        pass
say("done")
os.chdir("/")
os.execve(sys.executable, ["sleep", "-I", "-S", "-c", "import time; time.sleep(9999)"], {})
"""
"""Ends the processes that the trial names, and hides from whoever looks for it by its environment."""


def program(name: str, act: str, prey: object) -> str:
    """The whole program of one act."""
    return f"ACT, PREY = {name!r}, {prey!r}\n{PRELUDE}\n{act}"
