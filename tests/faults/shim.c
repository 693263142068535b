/* shim.c: stands between a program and the system, numbers every operation and makes chosen ones fail.
 *
 * Preloaded into the driver. Owns the numbering, the faults themselves, and the model of a power cut: what was written
 * and not followed by an fsync of its file is undone when the power goes. Knows nothing of payments but the name of
 * their header, whose values it keeps aside so that the test can look for them where they must not be.
 *
 * The fsync itself is not passed on: only the model counts here, and it makes the run fast.
 *
 * From the environment:
 *   X402_FAULT_PLAN     "AT OPERATION ACTION VALUE": the operation of this number fails; where it is another one, because
 *                       the run did not go quite as the traced one (one read got what took two), the next of this name
 *   X402_FAULT_RANDOM   "SEED PER_MILLION": operations fail by chance
 *   X402_FAULT_TABLE    "OPERATION:ACTION:VALUE ...": what chance chooses from
 *   X402_FAULT_NOTES    a file: one line for every operation (without a plan), or for those that failed
 *   X402_FAULT_CAPTURE  a file: request line and payment header of every sending that the system took
 *   X402_FAULT_ROOT     a folder whose files the power cut is about
 *   X402_FAULT_FORGETS  set: fsync is believed and does nothing, as with a disk that lies */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The system's own function behind ours. */
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

typedef enum action {
    NOTHING,
    FAIL,      /* an error, and nothing was done */
    LOST,      /* done, and an error says that it was not */
    SHORT,     /* half of the bytes, and says so */
    TORN,      /* half of the bytes, then an error */
    END,       /* no bytes: the end */
    JUMP,      /* a clock moves by so many seconds, for good */
    KILL,      /* done, and the process dies */
    TORN_KILL, /* half of the bytes, and the process dies */
    CUT,       /* done, and the power goes */
    TORN_CUT,  /* half of the bytes, and the power goes */
    ACTIONS
} action;

static const char *const action_names[ACTIONS] = {"nothing", "fail", "lost",      "short", "torn",    "end",
                                                  "jump",    "kill", "torn-kill", "cut",   "torn-cut"};

typedef struct fault {
    action action;
    int value;
} fault;

static const fault none = {NOTHING, 0};

typedef struct entry {
    char operation[24];
    fault fault;
} entry;

#define ENTRIES_MAX 256
#define PATH_BYTES_MAX 512

static struct {
    atomic_int counting;
    atomic_long count;
    long at;
    entry planned;
    atomic_int met; /* the planned failure took place */
    atomic_ulong dice;
    unsigned per_million;
    entry table[ENTRIES_MAX];
    int table_len;
    int notes, capture;
    char root[PATH_BYTES_MAX];
    int forgets;
    atomic_long real_jump_s, monotonic_jump_s, captured;
} our = {.notes = -1, .capture = -1};

static __thread int inside; /* a thread's own calls from in here are not operations */

/* ---- reading the environment ---- */

static action action_of(const char *name)
{
    for (int i = 0; i < ACTIONS; i++)
        if (strcmp(name, action_names[i]) == 0)
            return (action)i;
    fprintf(stderr, "no action is called %s\n", name);
    abort();
}

static int open_to_append(const char *path)
{
    if (!path)
        return -1;
    /* High, so that the numbers of the program's own descriptors do not depend on the test. */
    int low = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int high = (int)syscall(SYS_fcntl, low, F_DUPFD_CLOEXEC, 500);
    syscall(SYS_close, low);
    return high;
}

__attribute__((constructor)) static void start(void)
{
    const char *plan = getenv("X402_FAULT_PLAN"), *chance = getenv("X402_FAULT_RANDOM");
    const char *table = getenv("X402_FAULT_TABLE"), *root = getenv("X402_FAULT_ROOT");
    char name[24];
    our.at = -1;
    if (plan && sscanf(plan, "%ld %23s %23s %d", &our.at, our.planned.operation, name, &our.planned.fault.value) == 4)
        our.planned.fault.action = action_of(name);
    unsigned long seed = 0;
    if (chance && sscanf(chance, "%lu %u", &seed, &our.per_million) == 2)
        atomic_store(&our.dice, seed);
    for (int used = 0; table && our.table_len < ENTRIES_MAX; table += used) {
        entry *next = &our.table[our.table_len];
        if (sscanf(table, " %23[^:]:%23[^:]:%d%n", next->operation, name, &next->fault.value, &used) != 3)
            break;
        next->fault.action = action_of(name);
        our.table_len++;
    }
    if (root)
        snprintf(our.root, sizeof our.root, "%s", root);
    our.forgets = getenv("X402_FAULT_FORGETS") != NULL;
    our.notes = open_to_append(getenv("X402_FAULT_NOTES"));
    our.capture = open_to_append(getenv("X402_FAULT_CAPTURE"));
}

#include "power_cut.h"

#include "numbering.h"

/* ---- what the driver asks ---- */

void x402_fault_count(int on)
{
    atomic_store(&our.counting, on);
}

/* How many payments the system took for sending, if only in part. */
long x402_fault_sent(void)
{
    return atomic_load(&our.captured);
}

/* A callback as an operation: not 0 is what it has to return. */
int x402_fault_callback(const char *name)
{
    fault fault = next(name, -1, "");
    if (fault.action == FAIL)
        return fault.value;
    return ends_badly(fault) ? fault.value : 0;
}

/* An operation that moves no bytes. */
#define SIMPLE(type, name, parameters, arguments, operation, fd, path)                                                 \
    type name parameters                                                                                               \
    {                                                                                                                  \
        fault fault = next(operation, fd, path);                                                                       \
        if (fails(fault))                                                                                              \
            return (type)-1;                                                                                           \
        type result = REAL(name) arguments;                                                                            \
        return ends_badly(fault) ? (type)-1 : result;                                                                  \
    }

SIMPLE(int, access, (const char *path, int mode), (path, mode), "access", -1, path)
SIMPLE(int, stat64, (const char *path, struct stat64 *out), (path, out), "stat", -1, path)
SIMPLE(int, lstat64, (const char *path, struct stat64 *out), (path, out), "stat", -1, path)
SIMPLE(int, fstat64, (int fd, struct stat64 *out), (fd, out), "stat", fd, NULL)
SIMPLE(int, statx, (int fd, const char *path, int flags, unsigned mask, struct statx *out),
       (fd, path, flags, mask, out), "stat", -1, path)
SIMPLE(int, fchmod, (int fd, mode_t mode), (fd, mode), "fchmod", fd, NULL)
SIMPLE(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), "fchown", fd, NULL)
SIMPLE(int, mkdir, (const char *path, mode_t mode), (path, mode), "mkdir", -1, path)
SIMPLE(int, rmdir, (const char *path), (path), "rmdir", -1, path)
SIMPLE(int, utimes, (const char *path, const struct timeval times[2]), (path, times), "utimes", -1, path)
SIMPLE(ssize_t, readlink, (const char *path, char *out, size_t len), (path, out, len), "readlink", -1, path)
SIMPLE(off64_t, lseek64, (int fd, off64_t at, int whence), (fd, at, whence), "lseek", fd, NULL)
SIMPLE(int, close, (int fd), (fd), "close", fd, NULL)
SIMPLE(int, socket, (int domain, int type, int protocol), (domain, type, protocol), "socket", -1, "")
SIMPLE(int, socketpair, (int domain, int type, int protocol, int out[2]), (domain, type, protocol, out), "socketpair", -1, "")
SIMPLE(int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len), "connect", -1, "")
SIMPLE(int, shutdown, (int fd, int how), (fd, how), "shutdown", -1, "")
SIMPLE(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), (fd, level, name, value, len),
       "getsockopt", -1, "")
SIMPLE(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len), (fd, level, name, value, len),
       "setsockopt", -1, "")
SIMPLE(int, poll, (struct pollfd *fds, nfds_t count, int timeout_ms), (fds, count, timeout_ms), "poll", -1, "")
SIMPLE(int, nanosleep, (const struct timespec *time, struct timespec *left), (time, left), "nanosleep", -1, "")
SIMPLE(int, munmap, (void *address, size_t len), (address, len), "munmap", -1, "")

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    fault fault = next("nanosleep", -1, "");
    if (fails(fault))
        return fault.value;
    int result = REAL(clock_nanosleep)(clock, flags, time, left);
    return ends_badly(fault) ? fault.value : result;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    fault fault = next("getaddrinfo", -1, "");
    if (fault.action == FAIL)
        return fault.value; /* an EAI_ number */
    inside = 1;
    int result = REAL(getaddrinfo)(node, service, hints, out);
    inside = 0;
    ends_badly(fault);
    return result;
}

void *mmap64(void *address, size_t len, int protection, int flags, int fd, off64_t at)
{
    /* Memory that is no file's is the allocator's business. */
    fault fault = fd < 0 ? none : next("mmap", fd, NULL);
    if (fails(fault))
        return MAP_FAILED;
    void *result = REAL(mmap64)(address, len, protection, flags, fd, at);
    ends_badly(fault);
    return result;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    fault fault = next("ioctl", fd, NULL);
    if (fails(fault))
        return -1;
    int result = REAL(ioctl)(fd, request, argument);
    return ends_badly(fault) ? -1 : result;
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t at)
{
    return mmap64(address, len, protection, flags, fd, at);
}

static int locks(int fd, int command, void *argument)
{
    int is_lock = command == F_SETLK || command == F_SETLKW || command == F_GETLK || command == F_OFD_SETLK;
    int unlocks = is_lock && command != F_GETLK && ((struct flock *)argument)->l_type == F_UNLCK;
    fault fault = next(unlocks ? "unlock" : is_lock ? "lock" : "fcntl", fd, NULL);
    if (fails(fault))
        return -1;
    int result = (int)syscall(SYS_fcntl, fd, command, argument);
    return ends_badly(fault) ? -1 : result;
}

int fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return locks(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return locks(fd, command, argument);
}

/* ---- files ---- */

static int opens(const char *path, int flags, mode_t mode)
{
    fault fault = next(flags & O_CREAT ? "create" : "open", -1, path);
    if (fails(fault))
        return -1;
    int creates = (flags & O_CREAT) && is_ours(path) && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (creates && fd >= 0)
        remember(calloc(1, sizeof(undo)), CREATED, path);
    if (ends_badly(fault)) {
        int error = errno;
        syscall(SYS_close, fd);
        errno = error;
        return -1;
    }
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return opens(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return opens(path, flags, mode);
}

int unlink(const char *path)
{
    static atomic_int removed;
    fault fault = next("unlink", -1, path);
    if (fails(fault))
        return -1;
    int result = -1;
    if (is_ours(path)) {
        undo *what = calloc(1, sizeof *what);
        snprintf(what->kept, sizeof what->kept, "%.480s.removed-%d", our.root, removed++);
        result = rename(path, what->kept);
        if (result == 0)
            remember(what, REMOVED, path);
        else
            free(what);
    } else {
        result = REAL(unlink)(path);
    }
    return ends_badly(fault) ? -1 : result;
}

static int syncs(int fd)
{
    fault fault = next("fsync", fd, NULL);
    if (fails(fault))
        return -1;
    durable(fd);
    return ends_badly(fault) ? -1 : 0;
}

int fsync(int fd)
{
    return syncs(fd);
}

int fdatasync(int fd)
{
    return syncs(fd);
}

int ftruncate64(int fd, off64_t len)
{
    fault fault = next("ftruncate", fd, NULL);
    if (fails(fault))
        return -1;
    before_write(fd, len, 0);
    int result = REAL(ftruncate64)(fd, len);
    return ends_badly(fault) ? -1 : result;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    fault fault = next("pwrite", fd, NULL);
    if (fails(fault))
        return -1;
    before_write(fd, at, len);
    ssize_t result = REAL(pwrite64)(fd, data, part(fault, len), at);
    return ends_badly(fault) ? -1 : result;
}

ssize_t write(int fd, const void *data, size_t len)
{
    fault fault = next("write", fd, NULL);
    if (fails(fault))
        return -1;
    before_write(fd, REAL(lseek)(fd, 0, SEEK_CUR), len);
    ssize_t result = syscall(SYS_write, fd, data, part(fault, len));
    return ends_badly(fault) ? -1 : result;
}

ssize_t writev(int fd, const struct iovec *slices, int count)
{
    fault fault = next("writev", fd, NULL);
    if (fails(fault))
        return -1;
    ssize_t result = REAL(writev)(fd, slices, part(fault, (size_t)count));
    return ends_badly(fault) ? -1 : result;
}

/* Reads go on or stop; END is the end of the file. */
#define READS(name, parameters, whole, half, operation, fd, path)                                                      \
    ssize_t name parameters                                                                                            \
    {                                                                                                                  \
        fault fault = next(operation, fd, path);                                                                       \
        if (fails(fault))                                                                                              \
            return -1;                                                                                                 \
        if (fault.action == END)                                                                                       \
            return 0;                                                                                                  \
        ssize_t result = part(fault, 2) == 1 ? REAL(name) half : REAL(name) whole;                                     \
        return ends_badly(fault) ? -1 : result;                                                                        \
    }

#define HALF ((len + 1) / 2)
READS(read, (int fd, void *out, size_t len), (fd, out, len), (fd, out, HALF), "read", fd, NULL)
READS(pread64, (int fd, void *out, size_t len, off64_t at), (fd, out, len, at), (fd, out, HALF, at), "pread", fd, NULL)
READS(readv, (int fd, const struct iovec *slices, int len), (fd, slices, len), (fd, slices, HALF), "read", fd, NULL)
READS(getrandom, (void *out, size_t len, unsigned flags), (out, len, flags), (out, HALF, flags), "getrandom", -1, "")

/* ---- sockets ---- */

ssize_t recv(int fd, void *out, size_t len, int flags)
{
    fault fault = next(flags & MSG_PEEK ? "peek" : "recv", -1, "");
    if (fails(fault))
        return -1;
    if (fault.action == END)
        return 0;
    if (fault.action == SHORT && len > 1)
        len = 1;
    ssize_t result = REAL(recv)(fd, out, part(fault, len), flags);
    return ends_badly(fault) ? -1 : result;
}

/* Keeps a payment header's value after the request line; head and payment lie whole in one piece. A process that is killed
 * meanwhile by another of its threads may leave a torn line, so each begins with the end of the one before. */
static void capture(const uint8_t *data, size_t len)
{
    static const char *const names[] = {"\r\npayment-signature: ", "\r\nx-payment: "};
    for (size_t which = 0; our.capture >= 0 && which < 2; which++) {
        size_t name_len = strlen(names[which]);
        for (size_t at = 0; at + name_len < len; at++) {
            if (strncasecmp((const char *)data + at, names[which], name_len) != 0)
                continue;
            const uint8_t *value = data + at + name_len;
            size_t rest = len - at - name_len, end = 0;
            while (end < rest && value[end] != '\r')
                end++;
            const uint8_t *line_end = memchr(data, '\r', len);
            struct iovec line[5] = {{(void *)"\n", 1}, {(void *)data, (size_t)(line_end - data)}, {(void *)"\t", 1},
                {(void *)value, end}, {(void *)"\n", 1}};
            if (syscall(SYS_writev, our.capture, line, 5) < 0)
                abort();
            atomic_fetch_add(&our.captured, 1);
        }
    }
}

static __thread int broken; /* a connection that broke in the middle of a sending: the next one is told (errno) */

/* A send that fails has taken nothing (POSIX), so what is torn is told as half, and the failure comes with the rest. */
static int sending_fails(fault *fault)
{
    if (broken) {
        errno = broken;
        broken = 0;
        return 1;
    }
    if (fault->action == TORN) {
        broken = fault->value;
        fault->action = SHORT;
    }
    return fails(*fault);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    fault fault = next("send", -1, "");
    if (sending_fails(&fault))
        return -1;
    capture(data, len);
    ssize_t result = REAL(send)(fd, data, part(fault, len), flags);
    return ends_badly(fault) ? -1 : result;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    fault fault = next("send", -1, "");
    if (sending_fails(&fault))
        return -1;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        capture(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    struct msghdr half = *message;
    struct iovec first;
    if (part(fault, 2) == 1 && message->msg_iovlen > 0) {
        first = message->msg_iov[0];
        first.iov_len = part(fault, first.iov_len);
        half.msg_iov = &first;
        half.msg_iovlen = 1;
    }
    ssize_t result = REAL(sendmsg)(fd, &half, flags);
    return ends_badly(fault) ? -1 : result;
}

/* ---- clocks ---- */

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int is_real = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    fault fault = next(is_real ? "clock" : "monotonic", -1, "");
    int result = (int)syscall(SYS_clock_gettime, clock, out);
    atomic_long *jump = is_real ? &our.real_jump_s : &our.monotonic_jump_s;
    if (fault.action == JUMP)
        atomic_fetch_add(jump, fault.value);
    if (clock != CLOCK_THREAD_CPUTIME_ID && clock != CLOCK_PROCESS_CPUTIME_ID)
        out->tv_sec += atomic_load(jump);
    ends_badly(fault);
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
