/* numbering.h: a part of shim.c: counts operations, and says what each is to meet, by plan or by chance, and what its caller
 * is told. */

static void note(long number, const char *operation, const char *detail, fault fault)
{
    char line[PATH_BYTES_MAX + 128];
    const char *name = strrchr(detail, '/');
    int len = snprintf(line, sizeof line, "%ld %s %s %d %s\n", number, operation, action_names[fault.action],
                       fault.value, name ? name + 1 : detail);
    if (syscall(SYS_write, our.notes, line, (size_t)len) < 0)
        abort();
}

static uint64_t throw_dice(void)
{
    uint64_t x = atomic_fetch_add(&our.dice, 0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static fault by_chance(const char *operation)
{
    if (throw_dice() % 1000000 >= our.per_million)
        return none;
    int fitting = 0;
    for (int i = 0; i < our.table_len; i++)
        fitting += strcmp(our.table[i].operation, operation) == 0;
    if (!fitting)
        return none;
    int chosen = (int)(throw_dice() % (unsigned)fitting);
    for (int i = 0;; i++)
        if (strcmp(our.table[i].operation, operation) == 0 && chosen-- == 0)
            return our.table[i].fault;
}

static fault by_plan(const char *operation, long number)
{
    if (our.at < 0 || number < our.at || strcmp(our.planned.operation, operation) != 0)
        return none;
    return atomic_exchange(&our.met, 1) ? none : our.planned.fault;
}

/* One operation more: what is to happen to it. `path` or, without one, `fd` says on what. */
static fault next(const char *operation, int fd, const char *path)
{
    if (inside || !atomic_load(&our.counting))
        return none;
    long number = atomic_fetch_add(&our.count, 1) + 1;
    fault fault = our.per_million ? by_chance(operation) : by_plan(operation, number);
    int everything = our.at < 0 && !our.per_million;
    if (our.notes >= 0 && (everything || fault.action)) {
        char of_fd[PATH_BYTES_MAX] = "";
        int saved = errno;
        if (!path && fd >= 0)
            path_of(fd, of_fd);
        note(number, operation, path ? path : of_fd, fault);
        errno = saved;
    }
    return fault;
}

/* After the operation was done: what the caller is told, with errno set. */
static int ends_badly(fault fault)
{
    if (fault.action == KILL || fault.action == TORN_KILL)
        die();
    if (fault.action == CUT || fault.action == TORN_CUT)
        power_cut();
    if (fault.action == LOST || fault.action == TORN)
        errno = fault.value;
    return fault.action == LOST || fault.action == TORN;
}

static int fails(fault fault)
{
    if (fault.action == FAIL)
        errno = fault.value;
    return fault.action == FAIL;
}

/* How much of `len` bytes is moved. */
static size_t part(fault fault, size_t len)
{
    switch (fault.action) {
    case SHORT:
    case TORN:
    case TORN_KILL:
    case TORN_CUT:
        return (len + 1) / 2;
    default:
        return len;
    }
}
