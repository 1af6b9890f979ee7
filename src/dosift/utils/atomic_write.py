"""Files and folders that appear whole or not at all, and what killed runs leave behind.

What is being written has a name that begins with ``.dosift-`` and ends in ``.partial``, in the
folder of the final name. The writer holds a lock on it; a lock that can be taken belonged to a
run that was killed, and the next run that writes the same name removes what it left.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dosift.errors import DosiftError, InputError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks; leftovers then stay
    _lock: Callable[[int, bool], bool] | None = None
else:

    def _lock(descriptor: int, wait: bool) -> bool:
        """Take the lock of an open file or folder; say whether it was to be had."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return wait
        return True


#: renameat2's flags (Linux): refuse an existing name, or exchange the two.
_NO_REPLACE, _EXCHANGE = 1, 2
_AT_FDCWD = -100
#: No room on the disk, or none that this user may fill.
_FULL = (errno.ENOSPC, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else []))


@contextmanager
def whole_file(path: str | Path, *, replace: bool = True) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file.
    replace : bool, default=True
        Whether it may exist; the old one stays until the new one is complete.

    Yields
    ------
    Path
        An empty file to be written instead; it is given its name at the end of the block, if
        the block succeeds.

    Raises
    ------
    InputError
        If the file exists (and may not), or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with whole_file(path) as draft:
    ...     _ = draft.write_text("1 2 3")
    >>> path.read_text()
    '1 2 3'
    """
    final = Path(path)
    with _errors_named(final):
        check_absent(final, replace)
        if final.is_dir():
            raise InputError(
                "cannot be written: this is a folder; give the name of a file", path=path
            )
        with _draft(final, _create_file) as draft:
            yield draft
            _sync(draft)
            _give_name(draft, final, replace)


@contextmanager
def whole_folder(
    path: str | Path, *, replace: bool = False, aside: Path | None = None
) -> Iterator[Path]:
    """Write a folder so that it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The folder; folders above it are made.
    replace : bool, default=False
        Whether it may exist; the old one stays until the new one is complete, and is then removed.
    aside : Path, optional
        A free name beside `path` that the old one is given instead of being removed.

    Yields
    ------
    Path
        An empty folder to be filled instead; it is given its name at the end of the block, if
        the block succeeds.

    Raises
    ------
    InputError
        If the folder exists (and may not), or cannot be written.
    """
    final = Path(path)
    with _errors_named(final):
        check_absent(final, replace)
        final.parent.mkdir(parents=True, exist_ok=True)
        with _draft(final, _create_folder) as draft:
            yield draft
            for file in draft.rglob("*"):
                _sync(file)
            _give_name(draft, final, replace)
            if aside is not None and draft.exists():  # what was there before
                draft.rename(aside)


def write_bytes(path: str | Path, data: bytes, *, replace: bool = True) -> None:
    """Write bytes to a file, whole or not at all.

    Parameters
    ----------
    path : str or Path
    data : bytes
    replace : bool, default=True
        Whether the file may exist.

    Raises
    ------
    InputError
        If the file exists (and may not), or cannot be written.
    """
    with whole_file(path, replace=replace) as draft:
        draft.write_bytes(data)


def check_absent(path: str | Path, force: bool) -> None:
    """Refuse to overwrite.

    Parameters
    ----------
    path : str or Path
    force : bool
        Whether overwriting is wanted.

    Raises
    ------
    InputError
        If the path exists and `force` is not set.
    """
    if os.path.lexists(path) and not force:
        raise _exists(path)


def reason_of(error: Exception) -> str:
    """Say why something could not be written.

    Parameters
    ----------
    error : Exception
        Of the operating system, or of polars, whose errors have its words only.

    Returns
    -------
    str

    Examples
    --------
    >>> reason_of(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full; free some room, or write to another disk'
    """
    number = getattr(error, "errno", None)
    if number in _FULL or any(os.strerror(full) in str(error) for full in _FULL):
        return "the disk is full; free some room, or write to another disk"
    return getattr(error, "strerror", None) or str(error)


def _leftovers(path: str | Path) -> list[Path]:
    """Find what is being written, or was when a run was killed, under a final name."""
    final = Path(path)
    return sorted(final.parent.glob(f"{_prefix(final)}*.partial"))


def _exists(path: str | Path) -> InputError:
    return InputError("exists already; choose another name or add --force", path=path)


def _prefix(final: Path) -> str:
    # A digest, since the name itself may be as long as names may be.
    return f".dosift-{hashlib.sha256(os.fsencode(final.name)).hexdigest()[:12]}-"


@contextmanager
def _errors_named(final: Path) -> Iterator[None]:
    """Turn errors of writing into a message about the final name."""
    try:
        yield
    except DosiftError:
        raise
    except Exception as error:
        # polars has its own error for a full disk; ValueError: a name that no file can have.
        is_of_polars = type(error).__module__.partition(".")[0] == "polars"
        if not is_of_polars and not isinstance(error, OSError | ValueError):
            raise
        raise InputError(f"cannot be written: {reason_of(error)}", path=final) from None


@contextmanager
def _draft(final: Path, create: Callable[[Path], None]) -> Iterator[Path]:
    """Make a locked draft beside the final name; remove it if it is still there at the end."""
    for leftover in _leftovers(final):
        _remove_if_abandoned(leftover)
    while True:
        draft = final.with_name(f"{_prefix(final)}{secrets.token_hex(6)}.partial")
        create(draft)
        try:
            descriptor = _open_locked(draft)
        except FileNotFoundError:
            continue  # another run took it for abandoned before it was locked
        break
    try:
        yield draft
    finally:
        _remove(draft)
        if descriptor is not None:
            os.close(descriptor)


def _create_file(draft: Path) -> None:
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def _create_folder(draft: Path) -> None:
    draft.mkdir()


def _open_locked(draft: Path) -> int | None:
    if _lock is None:  # pragma: no cover - Windows
        return None
    descriptor = os.open(draft, os.O_RDONLY)
    _lock(descriptor, True)
    if os.fstat(descriptor).st_nlink == 0 or not draft.exists():
        os.close(descriptor)
        raise FileNotFoundError(draft)
    return descriptor


def _remove_if_abandoned(leftover: Path) -> None:
    if _lock is None:  # pragma: no cover - Windows
        return
    with suppress(OSError):
        descriptor = os.open(leftover, os.O_RDONLY)
        try:
            if _lock(descriptor, False):
                _remove(leftover)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file is on the disk, so that a disk that is full says so now."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _give_name(draft: Path, final: Path, replace: bool) -> None:
    """Give a complete draft its final name in one step."""
    if not replace:
        _move_to_new_name(draft, final)
    elif draft.is_dir() and os.path.lexists(final):
        _exchange(draft, final)
    else:
        os.replace(draft, final)


def _move_to_new_name(draft: Path, final: Path) -> None:
    """Rename, and fail if another run has taken the name by now."""
    try:
        if _rename(draft, final, _NO_REPLACE):
            return
        if os.path.lexists(final):
            raise _exists(final)
        draft.rename(final)
    except FileExistsError:
        raise _exists(final) from None
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise _exists(final) from None
        raise


def _exchange(draft: Path, final: Path) -> None:
    """Put a folder in the place of another; the draft's name then belongs to the old one."""
    try:
        if _rename(draft, final, _EXCHANGE):
            return
    except FileNotFoundError:  # another run is replacing it by other means
        pass
    # Without the exchange there is an instant at which neither has the name.
    old = final.with_name(f"{_prefix(final)}{secrets.token_hex(6)}.partial")
    with suppress(FileNotFoundError):
        final.rename(old)
    try:
        draft.rename(final)
    except OSError:
        with suppress(OSError):
            old.rename(final)
        raise
    with suppress(FileNotFoundError):
        old.rename(draft)


def _rename(source: Path, target: Path, flags: int) -> bool:
    """Rename with the flags of Linux's renameat2; say whether the system can do it."""
    function = _renameat2()
    if function is None:
        return False
    names = os.fsencode(source), os.fsencode(target)
    if function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))


def _renameat2() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[..., int] | None = getattr(
        ctypes.CDLL(None, use_errno=True), "renameat2", None
    )
    return function
