/* Two programs in one for bench_fanout.py: the least that WebSocket fan-out can cost, and clients.
 *
 *   fanout serve PORT BYTES PER_SECOND
 *       Sends one text frame of BYTES, built once, to every client, PER_SECOND times a second: one
 *       send(2) a client. No TLS, no compression; a client whose socket is full is passed over.
 *   fanout drain PORT PATH CLIENTS WARM_S WINDOW_S PID MODULUS TEXT
 *       Opens CLIENTS sockets, says TEXT on each (%d is the client's number, modulo MODULUS if that
 *       is not 0), takes what comes, and prints what one window of WINDOW_S brought, as JSON: sockets
 *       opened and closed, messages a second, the CPU of process PID per message, and the p99 of the
 *       latency of frames that hold "sent_ns":<CLOCK_MONOTONIC>.
 *
 * Loopback only. gcc -O2 -o fanout fanout.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, HEAD = 1 << 12, CHUNK = 1 << 16, SAMPLES = 1 << 20, STAMP_AT = 64 };

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

/* -- the answer to a handshake (RFC 6455, 4.2.2): base64 of the SHA-1 of key and GUID */

static uint32_t left(uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }

static void sha1_block(uint32_t state[5], const uint8_t *block) {
    static const uint32_t round_add[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    uint32_t word[80], v[5];
    for (int i = 0; i < 16; i++)
        word[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                  (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        word[i] = left(word[i - 3] ^ word[i - 8] ^ word[i - 14] ^ word[i - 16], 1);
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 80; i++) {
        uint32_t mix;
        switch (i / 20) {
        case 0: mix = (v[1] & v[2]) | (~v[1] & v[3]); break;
        case 2: mix = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]); break;
        default: mix = v[1] ^ v[2] ^ v[3];
        }
        uint32_t next = left(v[0], 5) + mix + v[4] + word[i] + round_add[i / 20];
        v[4] = v[3], v[3] = v[2], v[2] = left(v[1], 30), v[1] = v[0], v[0] = next;
    }
    for (int i = 0; i < 5; i++) state[i] += v[i];
}

static void accept_key(const char *key, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t text[128] = {0}, hash[21] = {0};
    int length = snprintf((char *)text, 100, "%.40s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    text[length] = 0x80;
    int end = length < 56 ? 64 : 128;
    text[end - 2] = (uint8_t)(length * 8 >> 8), text[end - 1] = (uint8_t)(length * 8);
    for (int at = 0; at < end; at += 64) sha1_block(state, text + at);
    for (int i = 0; i < 20; i++) hash[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    for (int i = 0; i < 21; i += 3) {
        uint32_t bits = (uint32_t)hash[i] << 16 | (uint32_t)hash[i + 1] << 8 | hash[i + 2];
        for (int j = 0; j < 4; j++) *out++ = digits[bits >> (18 - 6 * j) & 63];
    }
    out[-1] = '=', *out = 0;
}

/* -- serve */

typedef struct {
    int fd, is_open, head_length;
    char head[HEAD];
} Peer;

static Peer **peers;
static int peer_count;

static void part_with(Peer *peer) {
    for (int i = 0; i < peer_count; i++)
        if (peers[i] == peer) {
            peers[i] = peers[--peer_count];
            break;
        }
    close(peer->fd);
    free(peer);
}

static void hear(Peer *peer) {
    char *room = peer->head + (peer->is_open ? 0 : peer->head_length);
    ssize_t n = recv(peer->fd, room, (size_t)(peer->head + HEAD - 1 - room), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        part_with(peer);
        return;
    }
    if (peer->is_open) return; /* what clients say is not listened to */
    peer->head_length += (int)n;
    peer->head[peer->head_length] = 0;
    if (!strstr(peer->head, "\r\n\r\n")) return;
    char key[64] = "", accept[32], answer[256];
    char *line = strcasestr(peer->head, "Sec-WebSocket-Key:");
    if (line) sscanf(line + 18, " %63[^\r\n ]", key);
    accept_key(key, accept);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    peer->is_open = send(peer->fd, answer, (size_t)length, MSG_NOSIGNAL) == length;
}

static void serve(int port, int bytes, double per_s) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), yes = 1;
    struct sockaddr_in at = loopback(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 4096)) die("listen");
    struct epoll_event event = {.events = EPOLLIN}, found[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    peers = calloc(1 << 16, sizeof *peers);
    uint8_t *frame = malloc((size_t)bytes + 4);
    frame[0] = 0x81, frame[1] = 126, frame[2] = (uint8_t)(bytes >> 8), frame[3] = (uint8_t)bytes;
    memset(frame + 4, 'x', (size_t)bytes);
    char head[STAMP_AT + 1];
    int64_t period_ns = (int64_t)(1e9 / per_s), due_ns = now_ns() + period_ns;
    for (;;) {
        int64_t wait_ns = due_ns - now_ns();
        int n = epoll_wait(epoll, found, EVENTS, wait_ns > 0 ? (int)(wait_ns / 1000000) : 0);
        for (int i = 0; i < n; i++) {
            Peer *peer = found[i].data.ptr;
            if (peer) {
                hear(peer);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0) continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            peer = calloc(1, sizeof *peer);
            peer->fd = fd;
            peers[peer_count++] = peer;
            event.data.ptr = peer;
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            event.data.ptr = NULL;
        }
        if (now_ns() < due_ns) continue;
        due_ns += period_ns;
        int length = snprintf(head, sizeof head, "{\"t\":\"frame\",\"sent_ns\":%lld,\"pad\":\"",
                              (long long)now_ns());
        memcpy(frame + 4, head, (size_t)length);
        memcpy(frame + 4 + bytes - 2, "\"}", 2);
        /* A frame that does not fit whole would break the stream: none of it is sent then. */
        for (int i = 0; i < peer_count; i++)
            if (peers[i]->is_open) send(peers[i]->fd, frame, (size_t)bytes + 4, MSG_NOSIGNAL);
    }
}

/* -- drain */

typedef struct {
    int fd, is_open, has_gone, header_length, payload_seen;
    uint64_t rest;
    uint8_t header[10];
    char start[HEAD];
} Client;

static int64_t messages, sample_count;
static double *samples_ms;
static int is_measured;

static void whole(Client *client) {
    if ((client->header[0] & 0x0f) > 2) return; /* pings and the like */
    messages++;
    client->start[client->payload_seen] = 0;
    char *stamp = strstr(client->start, "\"sent_ns\":");
    if (stamp && is_measured && sample_count < SAMPLES)
        samples_ms[sample_count++] = (double)(now_ns() - strtoll(stamp + 10, NULL, 10)) / 1e6;
}

static void take(Client *client, const uint8_t *data, ssize_t n) {
    while (n > 0) {
        if (client->rest) {
            ssize_t part = (uint64_t)n < client->rest ? n : (ssize_t)client->rest;
            int room = 256 - client->payload_seen;
            if (room > 0) {
                int kept = part < room ? (int)part : room;
                memcpy(client->start + client->payload_seen, data, (size_t)kept);
                client->payload_seen += kept;
            }
            data += part, n -= part, client->rest -= (uint64_t)part;
            if (!client->rest) whole(client);
            continue;
        }
        client->header[client->header_length++] = *data++, n--;
        int kind = client->header_length > 1 ? client->header[1] & 0x7f : -1;
        int wanted = kind < 0 ? 2 : kind == 126 ? 4 : kind == 127 ? 10 : 2;
        if (client->header_length < wanted) continue;
        client->rest = wanted == 2 ? (uint64_t)kind : 0;
        for (int i = 2; i < wanted; i++) client->rest = client->rest << 8 | client->header[i];
        client->header_length = client->payload_seen = 0;
        if (!client->rest) whole(client);
    }
}

static void say(Client *client, const char *text) {
    uint8_t frame[HEAD];
    size_t length = strlen(text), at = 0;
    frame[at++] = 0x81;
    frame[at++] = 0x80 | 126, frame[at++] = (uint8_t)(length >> 8), frame[at++] = (uint8_t)length;
    memset(frame + at, 0, 4), at += 4; /* a mask of zeros masks nothing */
    memcpy(frame + at, text, length);
    if (send(client->fd, frame, at + length, MSG_NOSIGNAL) < 0) die("send");
}

static double cpu_s(int pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0) die(path);
    close(fd);
    text[n] = 0;
    unsigned long user, kernel;
    sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
           &kernel);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static int compared(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void drain_for(int epoll, Client *clients, double seconds, int *gone) {
    static uint8_t data[CHUNK];
    struct epoll_event found[EVENTS];
    int64_t end_ns = now_ns() + (int64_t)(seconds * 1e9);
    while (now_ns() < end_ns) {
        int n = epoll_wait(epoll, found, EVENTS, 10);
        for (int i = 0; i < n; i++) {
            Client *client = &clients[found[i].data.u32];
            ssize_t got = recv(client->fd, data, sizeof data, MSG_DONTWAIT);
            if (got > 0) take(client, data, got);
            if (got == 0 && !client->has_gone) {
                client->has_gone = 1, ++*gone;
                epoll_ctl(epoll, EPOLL_CTL_DEL, client->fd, NULL);
            }
        }
    }
}

static int drain(char **args) {
    int port = atoi(args[0]), count = atoi(args[2]), pid = atoi(args[5]), modulus = atoi(args[6]);
    double warm_s = atof(args[3]), window_s = atof(args[4]);
    int epoll = epoll_create1(0), opened = 0, gone = 0;
    Client *clients = calloc((size_t)count, sizeof *clients);
    samples_ms = malloc(SAMPLES * sizeof *samples_ms);
    struct sockaddr_in at = loopback(port);
    for (int i = 0; i < count; i++) {
        Client *client = &clients[i];
        char text[HEAD], *end = NULL;
        int length = snprintf(text, sizeof text,
                              "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", args[1], port);
        client->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client->fd, (void *)&at, sizeof at)) die("connect");
        if (send(client->fd, text, (size_t)length, MSG_NOSIGNAL) != length) die("send");
        int seen = 0;
        while (!end && seen < HEAD - 1) {
            ssize_t n = recv(client->fd, text + seen, (size_t)(HEAD - 1 - seen), 0);
            if (n <= 0) break;
            seen += (int)n;
            text[seen] = 0;
            end = strstr(text, "\r\n\r\n");
        }
        if (!end || strncmp(text, "HTTP/1.1 101", 12)) continue;
        opened++;
        take(client, (uint8_t *)end + 4, text + seen - (end + 4));
        if (*args[7]) {
            char said[HEAD];
            snprintf(said, sizeof said, args[7], modulus ? i % modulus : i);
            say(client, said);
        }
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event);
    }
    drain_for(epoll, clients, warm_s, &gone);
    messages = 0, is_measured = 1;
    double before_s = cpu_s(pid);
    int64_t began_ns = now_ns();
    drain_for(epoll, clients, window_s, &gone);
    double seconds = (double)(now_ns() - began_ns) / 1e9, used_s = cpu_s(pid) - before_s;
    qsort(samples_ms, (size_t)sample_count, sizeof *samples_ms, compared);
    double p99 = sample_count ? samples_ms[(int64_t)((double)sample_count * 0.99)] : 0;
    printf("{\"opened\":%d,\"closed\":%d,\"msgs_per_s\":%.1f,"
           "\"lat_ms\":{\"samples\":%lld,\"p99\":%.3f},\"server\":{\"cpu_us_per_msg\":%.4f}}\n",
           opened, gone, (double)messages / seconds, (long long)sample_count, p99,
           messages ? used_s * 1e6 / (double)messages : 0);
    return 0;
}

int main(int count, char **args) {
    signal(SIGPIPE, SIG_IGN);
    if (count == 5 && !strcmp(args[1], "serve"))
        serve(atoi(args[2]), atoi(args[3]), atof(args[4]));
    if (count == 10 && !strcmp(args[1], "drain")) return drain(args + 2);
    fputs("fanout serve PORT BYTES PER_SECOND | drain PORT PATH CLIENTS WARM_S WINDOW_S PID MODULUS TEXT\n",
          stderr);
    return 2;
}
