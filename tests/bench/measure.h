/* measure.h: what a benchmark program says about itself: CPU and wall time of its loop, and its peak memory.
 *
 * The peak is VmHWM and not ru_maxrss: the latter survives exec and so reports the runner's memory where the
 * program itself is smaller. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Calls before the clock starts: connection, caches, whatever is set up lazily. */
#define WARMUP_CALLS 20

/* The first development key that every local chain knows; it holds nothing. */
#define TEST_KEY "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

static inline void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0') die("%s is not a number", text);
    return value;
}

static inline double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct measure { double cpu_s, wall_s; };

static inline struct measure measure_begin(void)
{
    return (struct measure){ seconds(CLOCK_PROCESS_CPUTIME_ID), seconds(CLOCK_MONOTONIC) };
}

static inline long peak_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
    if (status) fclose(status);
    return kib;
}

/* One line of JSON. `bytes` are those of the bodies moved within the loop. */
static inline void measure_end(struct measure begun, uint64_t calls, uint64_t bytes)
{
    double cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - begun.cpu_s;
    double wall_s = seconds(CLOCK_MONOTONIC) - begun.wall_s;
    printf("{\"iterations\": %" PRIu64 ", \"cpu_us_per_call\": %.3f, \"wall_us_per_call\": %.3f, "
           "\"maxrss_kib\": %ld, \"bytes\": %" PRIu64 "}\n",
           calls, cpu_s * 1e6 / (double)calls, wall_s * 1e6 / (double)calls, peak_kib(), bytes);
}

#endif
