"""Run a module in an environment that need not have this package, and end it as Ctrl-C would.

    python -I -u -X utf8 start.py SECONDS FOLDER MODULE ARGUMENTS...

It ends when its standard input does: that is how its starter stops it, on every system alike, and what
happens when its starter was killed. What has not ended after SECONDS is ended at once. FOLDER, unless it is
empty, is looked into for MODULE after the environment's own folders.
"""

import _thread
import os
import runpy
import signal
import sys
import threading
import time

CLOSING = (2, 5, 6)
"""Windows' events for a window that is closed, a user who logs off and a machine that is shut down."""
BREAK = 1
"""Ctrl-Break, which reaches every program of a console; our starter hears it and ends our input."""
INTERRUPTED = 130
ASKED = threading.Lock()


def interrupt() -> None:
    """Ctrl-C, for the main thread, whatever it waits for; once, since servers take the second for haste."""
    if not ASKED.acquire(blocking=False):
        return
    if sys.platform == "win32":
        _thread.interrupt_main(signal.SIGINT)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def end_with(channel: int, seconds: float) -> None:
    """Wait for the end of the channel, then end."""
    while os.read(channel, 1):
        continue
    interrupt()
    time.sleep(seconds)
    os._exit(INTERRUPTED)


def take_input() -> int:
    """The standard input for ourselves: what is started from here shares nothing that we wait for."""
    channel = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return channel


def stop_when_the_window_closes(seconds: float) -> object:
    """Windows ends a program as soon as it has heard of that; so it hears of it until it has ended."""
    if sys.platform != "win32":
        return None
    import ctypes  # noqa: PLC0415 - Windows alone has what is asked of it
    from ctypes import wintypes  # noqa: PLC0415 - as above

    def closing(event: int) -> bool:
        if event not in CLOSING:
            return event == BREAK
        interrupt()
        time.sleep(seconds)
        return True

    handler = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)(closing)
    ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, True)  # noqa: FBT003 - the interface is Windows'
    return handler


def main() -> None:
    seconds, folder, module = float(sys.argv[1]), sys.argv[2], sys.argv[3]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a starter that ignores it hands that down
    kept = stop_when_the_window_closes(seconds)
    threading.Thread(target=end_with, args=(take_input(), seconds), daemon=True).start()
    if folder:
        sys.path.append(folder)
    sys.argv[:] = [module, *sys.argv[4:]]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    del kept


if __name__ == "__main__":
    main()
