/* start_timer ROUNDS URL PROGRAM...: starts each program in turn, ROUNDS times over, and prints as JSON, by program,
 * how many milliseconds passed from its start to the first byte it wrote. */
#include "measure.h"
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAMS_MAX 4

extern char **environ;

static double start_ms(char *program, char *url)
{
    char *arguments[] = { program, url, NULL }, byte;
    int ends[2], status;
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0) die("no pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    double begun = seconds(CLOCK_MONOTONIC);
    if (posix_spawn(&child, program, &actions, NULL, arguments, environ) != 0) die("%s does not start", program);
    close(ends[1]);
    ssize_t got = read(ends[0], &byte, 1);
    double taken_ms = (seconds(CLOCK_MONOTONIC) - begun) * 1e3;
    close(ends[0]);
    posix_spawn_file_actions_destroy(&actions);
    if (waitpid(child, &status, 0) != child || got != 1 || status != 0) die("%s failed", program);
    return taken_ms;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 3 + PROGRAMS_MAX) die("usage: start_timer ROUNDS URL PROGRAM...");
    int programs = argc - 3, rounds = (int)number(argv[1]);
    double *taken = calloc((size_t)(rounds * programs), sizeof *taken);
    for (int round = -1; round < rounds; round++)
        for (int program = 0; program < programs; program++) {
            double ms = start_ms(argv[3 + program], argv[2]);
            if (round >= 0) taken[program * rounds + round] = ms;
        }
    printf("[");
    for (int program = 0; program < programs; program++) {
        printf(program ? ", [" : "[");
        for (int round = 0; round < rounds; round++) printf(round ? ", %.3f" : "%.3f", taken[program * rounds + round]);
        printf("]");
    }
    printf("]\n");
    free(taken);
    return 0;
}
