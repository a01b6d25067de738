/* Stands between a program and the C library: a clock that has stepped, a disk that is full or
 * fails. What it does is in a small shared file, so that it changes while the program runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct orders {
    volatile long step;        /* seconds that the wall clock is off */
    volatile long write_errno; /* of each write to the store, 0 for none */
    volatile long sync_errno;  /* of each sync of the store, 0 for none */
};
static struct orders none, *orders = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_ORDERS");
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd < 0) return;
    void *there = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (there != MAP_FAILED) orders = there;
    close(fd);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t which, struct timespec *at) {
    REAL(clock_gettime);
    int done = real(which, at);
    if (!done && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        at->tv_sec += orders->step;
    return done;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    REAL(gettimeofday);
    int done = real(at, zone);
    if (!done) at->tv_sec += orders->step;
    return done;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* Deadlines by the wall clock go to the kernel, whose clock has not stepped. Those by the
 * monotonic clock are seconds since the machine's start: too small to be mistaken. */
static const struct timespec *kernels(const struct timespec *until, struct timespec *room) {
    if (!until || until->tv_sec < 1000000000L) return until;
    *room = *until;
    room->tv_sec -= orders->step;
    return room;
}

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until) {
    static __typeof__(pthread_cond_timedwait) *real; /* the newer of two of that name */
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    struct timespec room;
    return real(c, m, kernels(until, &room));
}

int sem_timedwait(sem_t *restrict s, const struct timespec *restrict until) {
    REAL(sem_timedwait);
    struct timespec room;
    return real(s, kernels(until, &room));
}

/* The store: bridge110.db and what SQLite keeps beside it. */
static int of_store(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strstr(path, "bridge110.db") != NULL;
}

static int refused(long error, int fd) {
    if (!error || !of_store(fd)) return 0;
    errno = (int)error;
    return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    return refused(orders->write_errno, fd) ? -1 : real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite);
    return refused(orders->write_errno, fd) ? -1 : real(fd, data, size, at);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    return refused(orders->write_errno, fd) ? -1 : real(fd, data, size);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return refused(orders->sync_errno, fd) ? -1 : real(fd);
}

int fsync(int fd) {
    REAL(fsync);
    return refused(orders->sync_errno, fd) ? -1 : real(fd);
}
