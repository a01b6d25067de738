"""A disk that fails on demand under the daemon's store: a library preloaded into its process.

Files in the directory `DISKFAULT` say how it is now: `sync` (fdatasync fails with EIO), `full`
(writes fail with ENOSPC until the ballast is spent; it cannot be made), `slow` (a sync takes 5 ms
more), `stuck` (a sync does not return). Only files whose name begins with the store's are touched.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strstr(path, getenv("DISKFAULT_STORE")) != NULL;
}
static int now(const char *fault) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("DISKFAULT"), fault);
    return access(path, F_OK) == 0;
}
static int full(int fd) {
    char ballast[4096];
    struct stat found;
    if (!ours(fd) || !now("full")) return 0;
    snprintf(ballast, sizeof ballast, "%s.ballast", getenv("DISKFAULT_STORE"));
    return stat(ballast, &found) == 0 && found.st_size > 0;
}
static int failing(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (!ours(fd)) return real(fd);
    while (now("stuck")) usleep(20000);
    if (now("slow")) usleep(5000);
    if (now("sync")) { errno = EIO; return -1; }
    return real(fd);
}
int fdatasync(int fd) { return failing("fdatasync", fd); }
int fsync(int fd) { return failing("fsync", fd); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    if (full(fd)) { errno = ENOSPC; return -1; }
    return real(fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return pwrite64(fd, data, size, at);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    int (*real)(int, off64_t, off64_t) =
        (int (*)(int, off64_t, off64_t))dlsym(RTLD_NEXT, "posix_fallocate64");
    return ours(fd) && now("full") ? ENOSPC : real(fd, at, size);
}
int posix_fallocate(int fd, off_t at, off_t size) { return posix_fallocate64(fd, at, size); }
ssize_t write(int fd, const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (full(fd)) { errno = ENOSPC; return -1; }
    return real(fd, data, size);
}
"""


class FailingDisk:
    """The disk under one store. `environment` is what its daemon must be started with."""

    def __init__(self, directory: Path, store: Path) -> None:
        self.directory = directory
        library = directory / "failing_disk.so"
        source = directory / "failing_disk.c"
        source.write_text(SOURCE)
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        self.environment = {
            "LD_PRELOAD": str(library),
            "DISKFAULT": str(directory),
            "DISKFAULT_STORE": str(store),
        }

    @contextlib.contextmanager
    def fails(self, *faults: str) -> Iterator[None]:
        """While this lasts, the disk has these faults."""
        for fault in faults:
            (self.directory / fault).touch()
        try:
            yield
        finally:
            for fault in faults:
                (self.directory / fault).unlink(missing_ok=True)
