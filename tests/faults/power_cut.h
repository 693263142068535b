/* power_cut.h: a part of shim.c: what to undo when the power goes, and how it goes. Owns the record of what is not durable yet;
 * knows nothing of which operation is to fail. */

typedef enum undo_kind { WROTE, CREATED, REMOVED } undo_kind;

typedef struct undo {
    struct undo *next;
    undo_kind kind;
    ino_t inode;            /* of the file; of its folder for CREATED and REMOVED */
    char path[PATH_BYTES_MAX];
    char kept[PATH_BYTES_MAX]; /* REMOVED: where the file is now */
    off_t size, at;         /* WROTE: the size before; where the old bytes lay */
    size_t len;
    uint8_t old[];
} undo;

static pthread_mutex_t undo_lock = PTHREAD_MUTEX_INITIALIZER;
static undo *undos; /* latest first */

static int path_of(int fd, char path[PATH_BYTES_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_BYTES_MAX - 1);
    path[len < 0 ? 0 : len] = 0;
    return len > 0;
}

static int is_ours(const char *path)
{
    return our.root[0] && strncmp(path, our.root, strlen(our.root)) == 0;
}

static struct stat stat_of(const char *path)
{
    struct stat out;
    memset(&out, 0, sizeof out);
    REAL(stat)(path, &out);
    return out;
}

static ino_t folder_of(const char *path)
{
    char folder[PATH_BYTES_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    return stat_of(folder).st_ino;
}

static void remember(undo *what, undo_kind kind, const char *path)
{
    what->kind = kind;
    snprintf(what->path, sizeof what->path, "%s", path);
    what->inode = kind == WROTE ? stat_of(path).st_ino : folder_of(path);
    pthread_mutex_lock(&undo_lock);
    what->next = undos;
    undos = what;
    pthread_mutex_unlock(&undo_lock);
}

/* Before `len` bytes are written at `at`, or (len 0) the file's length is changed to `at`. */
static void before_write(int fd, off_t at, size_t len)
{
    char path[PATH_BYTES_MAX];
    struct stat now;
    if (!our.root[0] || !path_of(fd, path) || !is_ours(path) || REAL(fstat)(fd, &now) || !S_ISREG(now.st_mode))
        return;
    size_t from = len ? len : (now.st_size > at ? (size_t)(now.st_size - at) : 0);
    undo *what = calloc(1, sizeof *what + from);
    /* Not through a descriptor of our own: closing one gives up the process's locks on the file (fcntl(2)). */
    ssize_t got = REAL(pread)(fd, what->old, from, at);
    what->size = now.st_size;
    what->at = at;
    what->len = got < 0 ? 0 : (size_t)got;
    remember(what, WROTE, path);
}

/* The file or folder is on disk as it stands. */
static void durable(int fd)
{
    struct stat now;
    if (our.forgets || REAL(fstat)(fd, &now))
        return;
    pthread_mutex_lock(&undo_lock);
    for (undo **link = &undos; *link;) {
        undo *what = *link;
        if (what->inode != now.st_ino) {
            link = &what->next;
            continue;
        }
        if (what->kind == REMOVED)
            REAL(unlink)(what->kept);
        *link = what->next;
        free(what);
    }
    pthread_mutex_unlock(&undo_lock);
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static void power_cut(void)
{
    inside = 1;
    pthread_mutex_lock(&undo_lock);
    for (undo *what = undos; what; what = what->next) {
        if (what->kind == CREATED) {
            REAL(unlink)(what->path);
        } else if (what->kind == REMOVED) {
            rename(what->kept, what->path);
        } else {
            int fd = (int)syscall(SYS_openat, AT_FDCWD, what->path, O_WRONLY | O_CLOEXEC);
            struct stat now;
            int same = fd >= 0 && REAL(fstat)(fd, &now) == 0 && now.st_ino == what->inode;
            if (same && (REAL(pwrite)(fd, what->old, what->len, what->at) < 0 || REAL(ftruncate)(fd, what->size)))
                abort();
            syscall(SYS_close, fd);
        }
    }
    die();
}
