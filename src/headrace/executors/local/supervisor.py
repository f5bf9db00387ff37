"""Starts an attempt's process under a supervisor that outlives us.

The supervisor is a dozen lines of POSIX shell: it takes the attempt's claim exclusively (so that
of two supervisors only one goes on, whichever server started them), runs the command in the attempt's
directory and writes down its exit status, also when the server has died meanwhile.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

from headrace.executors.local import processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.command import REQUEST
from headrace.executors.local.processes import REVOKED, TAG

#: Exit status of a supervisor that found the claim taken.
CLAIM_TAKEN = 75
#: Between what the command's process enters and the command itself.
_END_OF_JOINS = "--"

# `set -C` makes `>` refuse a file that exists. Only builtins here: no process but the command's.
# The trap keeps the supervisor alive through the SIGTERM that its whole session gets; the command gets its own.
# Only the command's process enters the attempt's control groups: what is done to a group, by us or by the kernel,
# leaves the supervisor there to write down how the command ended.
_SCRIPT = """
read -r stat < /proc/$$/stat; read -r boot < /proc/sys/kernel/random/boot_id
set -C; printf '%s\\n%s\\n' "$stat" "$boot" 2>/dev/null > "$1/claim" || exit 75; set +C
trap : TERM INT HUP
cd "$1/work" || exit 74
unset OLDPWD
attempt_dir=$1; shift
(
  while [ "$1" != -- ]; do
    echo 0 > "$1" || { : > "$attempt_dir/unconfined"; exit 76; }
    shift
  done
  shift
  exec "$@"
)
echo "exit $?" >> "$attempt_dir/claim"
"""


def spawn(
    attempt_dir: AttemptDir,
    argv: Sequence[str],
    env: Mapping[str, str],
    joins: Sequence[str] = (),
    request: bytes = b"",
) -> int:
    """Start the supervisor in a session of its own; its process id, which is the session's too.

    `joins` are files into which the command's process writes 0 before it runs anything of the user's (see `cgroups`);
    where that fails the command is not run, and there is a file `unconfined`. `request` is what the command reads at
    `REQUEST`.
    """
    log = os.open(attempt_dir.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    asked = _unnamed(request)
    try:
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _SCRIPT, "headrace-attempt", str(attempt_dir.root), *joins, _END_OF_JOINS, *argv],
            {**env, TAG: attempt_dir.tag},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, asked, int(REQUEST.rpartition("/")[2])),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD],
        )
    finally:
        os.close(log)
        os.close(asked)


def _unnamed(content: bytes) -> int:
    """A descriptor from which the content can be read."""
    descriptor = os.memfd_create("headrace-request")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def take_claim(attempt_dir: AttemptDir) -> bool:
    """Take the claim ourselves, so that no supervisor ever goes on; False if somebody was quicker."""
    try:
        taken = os.open(attempt_dir.claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    except FileNotFoundError:
        return True  # there is no directory yet, so nothing was ever spawned in it
    with os.fdopen(taken, "w") as file:
        file.write(f"{REVOKED.boot}\n")
    return True


def exit_status(attempt_dir: AttemptDir) -> int | None:
    """What the supervisor wrote down; None when it did not come to that."""
    return processes.read_exit(attempt_dir.claim)


def signal_name(status: int) -> str:
    """The signal a shell's exit status stands for; "" when it is an ordinary status."""
    try:
        return signal.Signals(status - 128).name if status > 128 else ""
    except ValueError:
        return ""
