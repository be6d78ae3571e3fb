"""Run one command of a build for the gate: when it lets it, measured, its output kept together.

    python -I -S launcher.pyc COMPILER ARGUMENTS...

Started once for every edge, so its own start is what the gate costs: it imports next to nothing, and nothing
of the package. `WINVLLM_GATE` says where the gate listens. Without it the command just runs, so that a ninja
started by hand works; where the gate is gone, its build was killed, and nothing runs any more: nobody counts
the memory, and nobody notes what is made, so that the next build would make it again.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys
from os import fsencode

TYPE_CHECKING = False
if TYPE_CHECKING:  # from typing, it would cost 10 ms
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

VARIABLE = "WINVLLM_GATE"
VERSION = b"1"
NOT_STARTED = 127
STDOUT, STDERR = 1, 2
CHUNK = 1 << 16
POLL_MS = 200
"""Milliseconds between looks at signals, on Windows."""
SPOKEN = ("-o", "-MF")
GLUED = ("-Fo", "/Fo", "/out:", "/OUT:", "-out:", "-OUT:")


def outputs(command: "Sequence[str]", *, windows: bool = sys.platform == "win32") -> "Iterator[str]":
    """The files that a compiler or linker writes: its output and its dependency file."""
    for at, word in enumerate(command):
        if word in SPOKEN and at + 1 < len(command):
            yield command[at + 1]
        elif windows and word.startswith(GLUED):
            yield word[len("-Fo") :] if word[1] == "F" else word[len("-out:") :]


def remove_outputs(command: "Sequence[str]") -> None:
    """They may be hard links into a store of finished work, which no compiler may write through."""
    for name in outputs(command):
        try:
            os.unlink(name)
        except OSError:
            continue


def quoted(command: "Sequence[str]") -> str:
    """A Windows command line that programs of Microsoft's C runtime read as these words."""
    words = []
    for word in command:
        text, slashes = "", 0
        for letter in word:
            if letter == "\\":
                slashes += 1
                continue
            text += "\\" * (slashes * 2 + 1 if letter == '"' else slashes) + letter
            slashes = 0
        blank = not word or " " in word or "\t" in word
        text += "\\" * (slashes * 2 if blank else slashes)
        words.append(f'"{text}"' if blank else text)
    return " ".join(words)


def signed(code: int) -> int:
    """A Windows exit code as `sys.exit` takes it: 0xC0000409 is negative."""
    return code - (1 << 32) if code >= 1 << 31 else code


class Ended:
    """How a command ended: exit code (below 0 the signal), CPU seconds, peak bytes."""

    def __init__(self, code: int, cpu: float = 0.0, memory: int = 0) -> None:
        self.code = code
        self.cpu = cpu
        self.memory = memory


class Signals:
    """What asks us to stop goes to the compiler; we stop the same way when it has ended."""

    def __init__(self, end: "Callable[[int], None]") -> None:
        self.end = end
        self.received = 0
        self.names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")

    def __enter__(self) -> "Self":
        self._set(self._forward)
        return self

    def __exit__(self, *error: object) -> None:
        self._set(_signal.SIG_DFL)

    def _set(self, handler: object) -> None:
        for name in self.names:
            if hasattr(_signal, name):
                _signal.signal(getattr(_signal, name), handler)

    def _forward(self, number: int, frame: object) -> None:
        del frame
        self.received = number
        self.end(number)


if sys.platform != "win32":

    def run(command: "Sequence[str]", text: int) -> Ended:
        """Run it to its end, both its streams into the file `text`."""
        actions = [(os.POSIX_SPAWN_DUP2, text, 1), (os.POSIX_SPAWN_DUP2, text, 2)]
        child: list[int] = []

        def end(number: int) -> None:
            for pid in child:
                os.kill(pid, number)

        with Signals(end) as signals:
            try:
                child.append(os.posix_spawnp(command[0], list(command), os.environ, file_actions=actions))
            except OSError as error:
                os.write(text, fsencode(f"{command[0]}: {error.strerror}\n"))
                return Ended(NOT_STARTED)
            _, status, usage = os.wait4(child[0], 0)
            child.clear()
        if signals.received:
            os.kill(os.getpid(), signals.received)
        unit = 1 if sys.platform == "darwin" else 1024
        return Ended(
            os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit
        )

    def become(command: "Sequence[str]") -> int:
        """Run it in our place."""
        try:
            os.execvp(command[0], list(command))  # noqa: S606 - the build's own command
        except OSError as error:
            os.write(2, fsencode(f"{command[0]}: {error.strerror}\n"))
            return NOT_STARTED

    def leave(code: int) -> int:
        """The exit code that says what `code` says: shells and ninja know 137 for a kill."""
        return code if code >= 0 else 128 - code

else:
    import _winapi
    import ctypes
    import msvcrt
    from ctypes import wintypes

    SUSPENDED = 0x4
    BREAKAWAY_OK = 0x800
    ACCOUNTING = 1
    EXTENDED_LIMITS = 9

    class Basic(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", ctypes.c_int64),
            ("PerJobUserTimeLimit", ctypes.c_int64),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class Extended(ctypes.Structure):
        _fields_ = (
            ("Basic", Basic),
            ("IoInfo", ctypes.c_uint64 * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    class Accounting(ctypes.Structure):
        _fields_ = (
            ("TotalUserTime", ctypes.c_int64),
            ("TotalKernelTime", ctypes.c_int64),
            ("rest", ctypes.c_uint64 * 4),
        )

    class Startup:
        """What CreateProcess reads of a STARTUPINFO."""

        dwFlags = _winapi.STARTF_USESTDHANDLES
        wShowWindow = 0
        lpAttributeList = None

        def __init__(self, text: int) -> None:
            self.hStdInput = _winapi.GetStdHandle(_winapi.STD_INPUT_HANDLE)
            self.hStdOutput = self.hStdError = text

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = wintypes.HANDLE
    kernel.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
    kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
    kernel.ResumeThread.argtypes = (wintypes.HANDLE,)
    kernel.SetInformationJobObject.argtypes = (
        wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD,
    )  # fmt: skip
    kernel.QueryInformationJobObject.argtypes = (
        wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD, wintypes.LPVOID,
    )  # fmt: skip

    def run(command: "Sequence[str]", text: int) -> Ended:
        """Run it to its end in a job object of its own, both its streams into the file `text`."""
        if text != STDOUT:  # ninja waits until nobody has its pipe, and mspdbsrv may stay for long
            for stream in (STDOUT, STDERR):
                try:
                    os.set_handle_inheritable(msvcrt.get_osfhandle(stream), False)
                except OSError:
                    continue
        handle = msvcrt.get_osfhandle(text)
        os.set_handle_inheritable(handle, True)
        job = kernel.CreateJobObjectW(None, None)
        limits = Extended()
        limits.Basic.LimitFlags = BREAKAWAY_OK  # mspdbsrv serves other compilers too
        kernel.SetInformationJobObject(job, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
        with Signals(lambda _: kernel.TerminateJobObject(job, 1)) as signals:
            try:
                process, thread, _, _ = _winapi.CreateProcess(
                    None,
                    quoted(command),
                    None,
                    None,
                    True,
                    SUSPENDED,
                    dict(os.environ),
                    None,
                    Startup(handle),
                )
            except OSError as error:
                os.write(text, f"{command[0]}: {error.strerror}\n".encode())
                return Ended(NOT_STARTED)
            kernel.AssignProcessToJobObject(job, process)
            kernel.ResumeThread(thread)
            while _winapi.WaitForSingleObject(process, POLL_MS) == _winapi.WAIT_TIMEOUT:
                pass
        code = signed(_winapi.GetExitCodeProcess(process))
        if signals.received:
            sys.exit(code or 1)
        kernel.QueryInformationJobObject(
            job, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits), None
        )
        spent = Accounting()
        kernel.QueryInformationJobObject(job, ACCOUNTING, ctypes.byref(spent), ctypes.sizeof(spent), None)
        cpu = (spent.TotalUserTime + spent.TotalKernelTime) / 1e7
        return Ended(code, cpu, limits.PeakJobMemoryUsed)

    def become(command: "Sequence[str]") -> int:
        """Run it with our own streams."""
        return run(command, STDOUT).code

    def leave(code: int) -> int:
        return code


class Gate:
    """The line to the gate: messages of words, each message with its length, its words divided by NUL."""

    def __init__(self, address: str) -> None:
        kind, place, token = address.split(" ")
        if kind == "unix" and sys.platform != "win32":
            self.line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            self.line.connect(place)
        else:
            host, _, port = place.partition(":")
            self.line = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            self.line.connect((host, int(port)))
        self.token = fsencode(token)

    def say(self, *words: bytes) -> None:
        body = b"\0".join(words)
        self.line.sendall(len(body).to_bytes(4, "big") + body)

    def hear(self) -> "tuple[bytes, bytes]":
        """A message: its first word, and the rest as it is."""
        body = self._exactly(int.from_bytes(self._exactly(4), "big"))
        first, _, rest = body.partition(b"\0")
        return first, rest

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            block = self.line.recv(min(size - len(found), CHUNK))
            if not block:
                raise ConnectionError
            found += block
        return found


def text_file(command: "Sequence[str]") -> int:
    """A file without a name for what the command prints: what it leaves running would keep a pipe open."""
    folder = os.environ.get("TMPDIR") or os.environ.get("TEMP") or "/tmp"  # noqa: S108 - made exclusively
    first = next(outputs(command), "")
    for place in (os.path.dirname(first) or ".", folder):
        name = os.path.join(place, f".{os.getpid()}.text")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        try:
            file = os.open(name, flags | getattr(os, "O_TEMPORARY", 0) | getattr(os, "O_BINARY", 0), 0o600)
        except OSError:
            continue
        if sys.platform != "win32":
            os.unlink(name)
        return file
    raise SystemExit("no folder to write the compiler's output to")


def read_all(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    found = b""
    while block := os.read(file, CHUNK):
        found += block
    return found


def show(text: bytes) -> None:
    while text:
        text = text[os.write(1, text) :]


def refuse() -> int:
    """The gate is gone."""
    show(b"winvllm-build was killed; run the same command again, it goes on with what is finished\n")
    return leave(1)


def gated(command: "list[str]", address: str) -> int:
    text, code = b"", 0
    ran = False
    try:
        gate = Gate(address)
        own = (str(os.getpid()), os.getcwd(), *command)
        gate.say(gate.token, VERSION, *(fsencode(word) for word in own))
        while True:
            verb, rest = gate.hear()
            if verb == b"end":
                last, _, more = rest.partition(b"\0")
                show(text + more)
                return leave(int(last))
            prefix = [os.fsdecode(word) for word in rest.split(b"\0") if word]
            remove_outputs(command)
            file = text_file(command)
            ended = run([*prefix, *command], file)
            text, code, ran = read_all(file), ended.code, True
            os.close(file)
            gate.say(b"ended", *(str(n).encode() for n in (ended.code, ended.cpu, ended.memory)), text)
    except (OSError, ValueError):
        if not ran:
            return refuse()
        show(text)
        return leave(code)


def main() -> int:
    command = sys.argv[1:]
    if not command:
        raise SystemExit("usage: launcher COMPILER ARGUMENTS...")
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    address = os.environ.pop(VARIABLE, "")
    if address:
        return gated(command, address)
    remove_outputs(command)
    return become(command)


if __name__ == "__main__":
    sys.exit(main())
