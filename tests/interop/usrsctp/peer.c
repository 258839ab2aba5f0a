/* An SCTP peer made of libusrsctp, over UDP (RFC 6951) on 127.0.0.1, for the interop tests.
 *
 *   cc -O2 -o peer peer.c -lusrsctp -lpthread
 *   peer listen|connect echo|exchange|source|sink|ping [name=value]...
 *
 * echo      sends every message back, on its stream, until the association ends
 * exchange  sends the seeded messages and at the same time checks those of the peer, byte for byte
 * source    sends them only; sink checks them only
 * ping      sends one message and awaits its echo, count times
 *
 * udp, remote-udp, port (SCTP), count, seed, peer-seed, streams, rto-min (ms), assocs (listen: how many to serve,
 * one after the other), size (ping), abort (1: end by ABORT instead of SHUTDOWN), lifetime (ms, of every second message
 * that source sends; sink then misses some of them).
 *
 * The messages are those of tests/interop/traffic.py; message i goes to stream i modulo streams, its PPID is PPID + i.
 * Prints "ready", "up", then "sent N B", "received N B" and "end shutdown" or "end abort". Status 0: all as expected. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <usrsctp.h>

enum { LARGEST = 65536, POOL = 2 * LARGEST, BUFFER = 1 << 20, PPID = 0x70000000 };

static struct { const char *name; long value; } options[] = {
	{"udp", 9899}, {"remote-udp", 9899}, {"port", 5001}, {"count", 1000}, {"seed", 1}, {"peer-seed", 2},
	{"streams", 1}, {"rto-min", 0}, {"assocs", 1}, {"size", 64}, {"abort", 0}, {"lifetime", 0},
};
static uint8_t *pools[2]; /* the pseudo-random bytes of our messages and of the peer's */

static long option(const char *name)
{
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (!strcmp(options[i].name, name)) return options[i].value;
	fprintf(stderr, "no option %s\n", name);
	exit(2);
}

static void die(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ------------------------------------------------------------------ messages; the twin of traffic.py */

static uint8_t *make_pool(uint32_t seed)
{
	uint8_t *pool = malloc(POOL);
	uint32_t x = seed * 2654435761u + 1;
	if (!x) x = 1;
	for (int i = 0; i < POOL; i += 4) {
		x ^= x << 13; x ^= x >> 17; x ^= x << 5;
		uint32_t big = htonl(x);
		memcpy(pool + i, &big, 4);
	}
	return pool;
}

static uint32_t mix(uint32_t i, uint32_t seed)
{
	uint32_t h = i * 2654435761u + seed * 40503u;
	h ^= h >> 16; h *= 0x45d9f3bu;
	h ^= h >> 16; h *= 0x45d9f3bu;
	return h ^ h >> 16;
}

static uint32_t message(uint8_t *into, uint32_t i, uint32_t seed, const uint8_t *pool)
{
	uint32_t h = mix(i, seed), kind = h % 1000, spread = h / 1000, size;
	if (i % 10000 == 9999) size = LARGEST;
	else if (kind < 900) size = 1 + spread % 100;
	else if (kind < 990) size = 101 + spread % 1400;
	else if (kind < 999) size = 1501 + spread % 6692;
	else size = 8193 + spread % 57344;
	memcpy(into, pool + (h >> 7) % LARGEST, size);
	if (size >= 4) { uint32_t big = htonl(i); memcpy(into, &big, 4); }
	return size;
}

/* ------------------------------------------------------------------ the association */

static void send_message(struct socket *s, const void *data, size_t size, unsigned stream, uint32_t ppid, long lifetime)
{
	struct sctp_sendv_spa spa = {0};
	spa.sendv_flags = SCTP_SEND_SNDINFO_VALID;
	spa.sendv_sndinfo.snd_sid = stream;
	spa.sendv_sndinfo.snd_ppid = htonl(ppid);
	if (lifetime) {
		spa.sendv_flags |= SCTP_SEND_PRINFO_VALID;
		spa.sendv_prinfo.pr_policy = SCTP_PR_SCTP_TTL;
		spa.sendv_prinfo.pr_value = lifetime;
	}
	if (usrsctp_sendv(s, data, size, NULL, 0, &spa, sizeof spa, SCTP_SENDV_SPA, 0) != (ssize_t)size)
		die("send");
}

/* One whole message into a buffer of LARGEST + 1 bytes; its size, 0 at the graceful end, -1 after an ABORT. */
static ssize_t receive_message(struct socket *s, uint8_t *into, unsigned *stream, uint32_t *ppid)
{
	size_t have = 0;
	for (;;) {
		struct sctp_rcvinfo info = {0};
		struct sockaddr_in from;
		socklen_t from_length = sizeof from, info_length = sizeof info;
		unsigned type = 0;
		int flags = 0;
		ssize_t n = usrsctp_recvv(s, into + have, LARGEST + 1 - have, (struct sockaddr *)&from, &from_length,
					  &info, &info_length, &type, &flags);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0 && (errno == ECONNRESET || errno == ECONNABORTED)) return -1;
		if (n < 0) die("receive");
		if (n == 0) return 0;
		if (flags & MSG_NOTIFICATION) { have = 0; continue; } /* the rest of a message will not come */
		have += n;
		if (flags & MSG_EOR) {
			*stream = info.rcv_sid;
			*ppid = ntohl(info.rcv_ppid);
			return have;
		}
		if (have > LARGEST) { fprintf(stderr, "peer: a message above %d bytes\n", LARGEST); exit(1); }
	}
}

static void *send_all(void *argument)
{
	struct socket *s = argument;
	uint8_t *buffer = malloc(LARGEST);
	uint64_t bytes = 0;
	long count = option("count"), streams = option("streams");
	for (long i = 0; i < count; i++) {
		uint32_t size = message(buffer, i, option("seed"), pools[0]);
		send_message(s, buffer, size, i % streams, PPID + i, i % 2 ? 0 : option("lifetime"));
		bytes += size;
	}
	printf("sent %ld %llu\n", count, (unsigned long long)bytes);
	fflush(stdout);
	free(buffer);
	return NULL;
}

static void check_all(struct socket *s)
{
	uint8_t *buffer = malloc(LARGEST + 1), *expected = malloc(LARGEST);
	uint64_t bytes = 0;
	long count = option("count"), streams = option("streams"), gaps = option("lifetime"), received = 0;
	uint32_t *next = calloc(streams, sizeof *next); /* per stream: the index of its next message */
	for (long i = 0; i < streams; i++) next[i] = i;
	for (long n = 0; gaps || n < count; n++) {
		unsigned stream;
		uint32_t ppid;
		ssize_t size = receive_message(s, buffer, &stream, &ppid);
		if (!size && gaps) break;
		if (size <= 0) { fprintf(stderr, "peer: the association ended after %ld messages\n", n); exit(1); }
		if (stream >= streams) { fprintf(stderr, "peer: stream %u\n", stream); exit(1); }
		while (gaps && next[stream] < ppid - PPID && next[stream] % 2 == 0) next[stream] += streams;
		uint32_t want = message(expected, next[stream], option("peer-seed"), pools[1]);
		if (size != want || ppid != PPID + next[stream] || memcmp(buffer, expected, want)) {
			fprintf(stderr, "peer: stream %u, message %u: %u bytes expected, %zd with PPID %u came%s\n",
				stream, next[stream], want, size, ppid, size == want ? ", of other content" : "");
			exit(1);
		}
		next[stream] += streams;
		bytes += size;
		received++;
	}
	for (long i = 0; gaps && i < streams; i++)
		for (; next[i] < count; next[i] += streams)
			if (next[i] % 2) { fprintf(stderr, "peer: message %u is missing\n", next[i]); exit(1); }
	printf("received %ld %llu\n", received, (unsigned long long)bytes);
	fflush(stdout);
	free(buffer); free(expected); free(next);
}

static void ping(struct socket *s)
{
	uint8_t *out = malloc(LARGEST), *in = malloc(LARGEST + 1);
	long size = option("size");
	for (long i = 0; i < option("count"); i++) {
		unsigned stream;
		uint32_t ppid;
		for (long k = 0; k < size; k++) out[k] = (uint8_t)(i + k);
		send_message(s, out, size, i % option("streams"), PPID + i, 0);
		if (receive_message(s, in, &stream, &ppid) != size || memcmp(in, out, size)) {
			fprintf(stderr, "peer: echo %ld differs\n", i);
			exit(1);
		}
	}
	printf("echoed %ld\n", option("count"));
	free(out); free(in);
}

static void echo(struct socket *s)
{
	uint8_t *buffer = malloc(LARGEST + 1);
	unsigned stream;
	uint32_t ppid;
	ssize_t size;
	long count = 0;
	while ((size = receive_message(s, buffer, &stream, &ppid)) > 0) {
		send_message(s, buffer, size, stream, ppid, 0);
		count++;
	}
	printf("echoed %ld\nend %s\n", count, size ? "abort" : "shutdown");
	fflush(stdout);
	free(buffer);
}

/* Runs the mode; the side that connects ends the association, the other one awaits its end. */
static void serve(struct socket *s, const char *mode, int client)
{
	pthread_t sender;
	int sends = !strcmp(mode, "exchange") || !strcmp(mode, "source");
	printf("up\n");
	fflush(stdout);
	if (!strcmp(mode, "echo")) { echo(s); return; }
	if (!strcmp(mode, "ping")) ping(s);
	if (sends && pthread_create(&sender, NULL, send_all, s)) die("thread");
	if (!strcmp(mode, "exchange") || !strcmp(mode, "sink")) check_all(s);
	if (sends) pthread_join(sender, NULL);
	if (client && option("abort")) {
		struct linger linger = {1, 0};
		usrsctp_setsockopt(s, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
		usrsctp_close(s);
		printf("end own-abort\n");
		return;
	}
	if (client && usrsctp_shutdown(s, SHUT_WR)) die("shutdown");
	uint8_t rest[LARGEST + 1];
	unsigned stream;
	uint32_t ppid;
	ssize_t size = receive_message(s, rest, &stream, &ppid);
	if (size > 0) { fprintf(stderr, "peer: a message too many\n"); exit(1); }
	printf("end %s\n", size ? "abort" : "shutdown");
	fflush(stdout);
}

static struct socket *open_socket(void)
{
	struct socket *s = usrsctp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	int on = 1;
	struct sctp_initmsg init = {0};
	struct sctp_rtoinfo rto = {0};
	struct sctp_udpencaps encaps = {0};
	struct sctp_event aborted = {0};
	if (!s) die("socket");
	init.sinit_num_ostreams = init.sinit_max_instreams = option("streams");
	encaps.sue_address.ss_family = AF_INET;
	encaps.sue_port = htons(option("remote-udp"));
	rto.srto_min = rto.srto_initial = option("rto-min");
	if (option("lifetime")) rto.srto_max = 10 * rto.srto_min; /* the network loses much then */
	aborted.se_assoc_id = SCTP_FUTURE_ASSOC;
	aborted.se_type = SCTP_PARTIAL_DELIVERY_EVENT;
	aborted.se_on = 1;
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_EVENT, &aborted, sizeof aborted)) die("SCTP_EVENT");
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on)) die("SCTP_NODELAY");
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on)) die("SCTP_RECVRCVINFO");
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init)) die("SCTP_INITMSG");
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &encaps, sizeof encaps)) die("SCTP_REMOTE_UDP_ENCAPS_PORT");
	if (rto.srto_min && usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto)) die("SCTP_RTOINFO");
	return s;
}

int main(int argc, char **argv)
{
	if (argc < 3) { fprintf(stderr, "usage: see the head of peer.c\n"); return 2; }
	for (int k = 3; k < argc; k++) {
		char *equals = strchr(argv[k], '=');
		if (!equals) { fprintf(stderr, "peer: %s is not name=value\n", argv[k]); return 2; }
		*equals = 0;
		option(argv[k]);
		for (size_t i = 0; i < sizeof options / sizeof *options; i++)
			if (!strcmp(options[i].name, argv[k])) options[i].value = atol(equals + 1);
	}
	pools[0] = make_pool(option("seed"));
	pools[1] = make_pool(option("peer-seed"));
	usrsctp_init(option("udp"), NULL, NULL);
	usrsctp_sysctl_set_sctp_no_csum_on_loopback(0);
	usrsctp_sysctl_set_sctp_sendspace(BUFFER);
	usrsctp_sysctl_set_sctp_recvspace(BUFFER);

	int client = !strcmp(argv[1], "connect");
	struct socket *s = open_socket();
	struct sockaddr_in address = {0};
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(client ? 0 : option("port"));
	if (usrsctp_bind(s, (struct sockaddr *)&address, sizeof address)) die("bind");
	if (client) {
		address.sin_port = htons(option("port"));
		if (usrsctp_connect(s, (struct sockaddr *)&address, sizeof address)) die("connect");
		serve(s, argv[2], 1);
	} else {
		if (usrsctp_listen(s, 10)) die("listen");
		printf("ready\n");
		fflush(stdout);
		for (long n = 0; n < option("assocs"); n++) {
			struct socket *peer = usrsctp_accept(s, NULL, NULL);
			if (!peer) die("accept");
			serve(peer, argv[2], 0);
			usrsctp_close(peer);
		}
	}
	usrsctp_close(s);
	for (int i = 0; i < 50 && usrsctp_finish(); i++) usleep(20000); /* until the last chunks are out */
	return 0;
}
