/* raw_http.h: one keep-alive HTTP connection with send and recv and nothing else; the floor to compare with.
 *
 * Understands just what the benchmark's server says: a head, and a body with a Content-Length. */
#ifndef BENCH_RAW_HTTP_H
#define BENCH_RAW_HTTP_H

#include "measure.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct raw {
    int fd;
    char host[64], path[256];
    size_t head_len, body_len;
    char answer[64 * 1024];
};

/* `url` is http://A.B.C.D:PORT/PATH. */
static void raw_connect(struct raw *raw, const char *url)
{
    unsigned port;
    char ip[32];
    if (sscanf(url, "http://%31[0-9.]:%u%255s", ip, &port, raw->path) != 3) die("%s is not http://IP:PORT/PATH", url);
    snprintf(raw->host, sizeof raw->host, "%s:%u", ip, port);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    inet_pton(AF_INET, ip, &address.sin_addr);
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(raw->fd, (struct sockaddr *)&address, sizeof address) != 0) die("%s: cannot connect", url);
    int on = 1;
    setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void raw_send(struct raw *raw, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(raw->fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) die("send failed");
        bytes += sent, len -= (size_t)sent;
    }
}

/* The value of a header of the answer, not terminated; NULL if it has none. Linear, as the answer is small. */
static const char *raw_header(const struct raw *raw, const char *name, size_t *len)
{
    size_t name_len = strlen(name);
    const char *end = raw->answer + raw->head_len;
    for (const char *line = raw->answer; line < end;) {
        const char *line_end = memchr(line, '\r', (size_t)(end - line));
        if (!line_end) break;
        if ((size_t)(line_end - line) > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            const char *value = line + name_len + 1;
            while (*value == ' ') value++;
            *len = (size_t)(line_end - value);
            return value;
        }
        line = line_end + 2;
    }
    return NULL;
}

/* Receives one answer, whole; returns its status. */
static int raw_receive(struct raw *raw)
{
    size_t have = 0, whole = 0, len;
    raw->head_len = 0;
    while (raw->head_len == 0 || have < whole) {
        ssize_t got = recv(raw->fd, raw->answer + have, sizeof raw->answer - 1 - have, 0);
        if (got <= 0) die("the answer ended after %zu bytes", have);
        have += (size_t)got;
        raw->answer[have] = '\0';
        const char *end = raw->head_len ? NULL : memmem(raw->answer, have, "\r\n\r\n", 4);
        if (end) {
            raw->head_len = (size_t)(end - raw->answer) + 4;
            const char *length = raw_header(raw, "content-length", &len);
            raw->body_len = length ? strtoul(length, NULL, 10) : 0;
            whole = raw->head_len + raw->body_len;
        }
    }
    return atoi(raw->answer + 9);
}

#endif
