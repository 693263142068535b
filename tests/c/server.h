/* server.h: the paying test server as a child process. */
#ifndef X402_TESTS_SERVER_H
#define X402_TESTS_SERVER_H

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORIGINS_MAX 16

typedef struct server {
    pid_t pid;
    int input;                /* closing it ends the server */
    char url[256];            /* of the origin "base" */
    char ca_file[512];        /* "" if no origin speaks TLS */
    size_t origin_count;
    struct { char name[64]; char url[256]; } origins[ORIGINS_MAX];
} server;

/* Starts the program that the environment variable PAYING_SERVER names. `scenario` is a file, or NULL for --demo.
 * Ends the test if it cannot. */
server server_start(const char *scenario, int tls);
void server_stop(server *server);
/* URL of a path of the origin `base`, in a buffer that the next call but three overwrites. */
const char *server_path(const server *server, const char *path);
/* One request of our own with plain sockets, to the paths under /_server/; the body of the answer, to be freed. */
char *server_ask(const server *server, const char *method, const char *path);

#ifdef __cplusplus
}
#endif

#endif
