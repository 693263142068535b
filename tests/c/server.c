#define _GNU_SOURCE
#include "server.h"

#include <netinet/in.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "test server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void note_line(server *server, const char *line)
{
    char name[64], url[256];
    if (sscanf(line, "listening %255s", server->url) == 1)
        return;
    if (sscanf(line, "ca %511s", server->ca_file) == 1)
        return;
    if (sscanf(line, "origin %63s %255s", name, url) == 2 && server->origin_count < ORIGINS_MAX) {
        strcpy(server->origins[server->origin_count].name, name);
        strcpy(server->origins[server->origin_count].url, url);
        server->origin_count++;
    }
}

/* Everything it says before it serves comes in one write, so one read after the first line has it all. */
static void read_announcement(server *server, int output)
{
    char text[8192];
    size_t len = 0;
    do {
        ssize_t got = read(output, text + len, sizeof text - 1 - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("it ended without saying where it listens");
        len += (size_t)got;
        text[len] = '\0';
    } while (text[len - 1] != '\n');
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        note_line(server, line);
    if (!server->url[0])
        die("it did not say where it listens");
}

server server_start(const char *scenario, int tls)
{
    const char *program = getenv("PAYING_SERVER");
    int in[2], out[2];
    server server;
    memset(&server, 0, sizeof server);
    if (!program || !program[0]) {
        fprintf(stderr, "PAYING_SERVER is not set: build it with `cargo build --example paying_server`\n");
        exit(1);
    }
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        die("pipe");
    server.pid = fork();
    if (server.pid < 0)
        die("fork");
    if (server.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl(program, program, scenario ? "--scenario" : "--demo", scenario ? scenario : (tls ? "--tls" : NULL),
              scenario && tls ? "--tls" : NULL, (char *)NULL);
        fprintf(stderr, "%s: %s\n", program, strerror(errno));
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    server.input = in[1];
    read_announcement(&server, out[0]);
    close(out[0]);
    return server;
}

void server_stop(server *server)
{
    close(server->input);
    waitpid(server->pid, NULL, 0);
}

const char *server_path(const server *server, const char *path)
{
    static char urls[4][1024];
    static unsigned next;
    char *url = urls[next++ % 4];
    snprintf(url, sizeof urls[0], "%s%s", server->url, path);
    return url;
}

char *server_ask(const server *server, const char *method, const char *path)
{
    struct sockaddr_in address = {0};
    unsigned port;
    char request[512];
    size_t len = 0, cap = 1 << 16;
    char *text = malloc(cap), *body;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!text || fd < 0 || sscanf(server->url, "http://127.0.0.1:%u", &port) != 1)
        die("server_ask needs a plain server on 127.0.0.1");
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
             method, path, port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        die("send");
    shutdown(fd, SHUT_WR);
    for (;;) {
        ssize_t got = recv(fd, text + len, cap - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        if (cap - 1 - len < 4096 && !(text = realloc(text, cap *= 2)))
            die("realloc");
    }
    close(fd);
    text[len] = '\0';
    body = strstr(text, "\r\n\r\n");
    if (!body)
        die("no answer");
    memmove(text, body + 4, strlen(body + 4) + 1);
    return text;
}
