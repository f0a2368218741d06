"""A PostgreSQL server of one's own: on loopback, in a folder that goes with it.

For tests and benchmarks. ``initdb`` refuses to run as root, so there the server runs as the user
``postgres``. It is stopped through the process number in its own folder, no other is touched.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def postgres_binary(name: str) -> Path | None:
    """Return where a program of PostgreSQL is, or None.

    Programs that Debian keeps in a folder of each version are preferred to what is on the path.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(versions[-1]) if versions else shutil.which(name)
    return Path(found) if found else None


def has_postgres() -> bool:
    """Return whether a server can be started here."""
    can_switch = os.geteuid() != 0 or shutil.which("runuser") is not None
    return can_switch and all(postgres_binary(name) for name in ("initdb", "pg_ctl"))


@contextmanager
def postgres_server(*, is_durable: bool = False) -> Iterator[str]:
    """Start a server, give the URL of its database ``postgres``, and stop it at the end.

    Parameters
    ----------
    is_durable : bool
        Write through to the disk (``fsync``); tests of anything but durability do without.
    """
    folder = Path(tempfile.mkdtemp(prefix="rerad-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    try:
        _run("initdb", "--no-sync", "-U", "rerad", "-A", "trust", "-E", "UTF8", "-D", str(data))
        port = _free_port()
        fsync = "on" if is_durable else "off"
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync={fsync} "
            f"-c unix_socket_directories={folder}"
        )
        log = str(folder / "log")
        _run("pg_ctl", "-D", str(data), "-l", log, "-w", "-o", options, "start")
        try:
            yield f"postgresql://rerad@127.0.0.1:{port}/postgres"
        finally:
            _run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL, as its user where this is root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*prefix, str(postgres_binary(name)), *arguments]
    # the server keeps what it is given as standard output: a pipe would never end
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/"
    )
    if done.returncode:
        msg = f"{name} failed with exit code {done.returncode}"
        raise RuntimeError(msg)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
