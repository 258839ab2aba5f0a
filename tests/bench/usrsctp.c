/* libusrsctp as a contender of the benchmark: SCTP over UDP (RFC 6951) on 127.0.0.1, two processes, upcalls.
 *
 *   cc -O2 -o usrsctp usrsctp.c -lusrsctp -lpthread
 *   usrsctp bulk|pingpong|setup|memory SIZE SECONDS PATH-MTU COUNT CORES
 *
 * PATH-MTU 0: its own choice. COUNT: associations, for memory. CORES: "same" pins both processes to one core,
 * "split" leaves them to the scheduler (each has several threads). The checksum is computed on loopback, as ours is.
 * The parent is the client. Prints one JSON object. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <usrsctp.h>

enum { CLIENT_UDP = 21001, SERVER_UDP = 21002, PORT = 5001, LARGEST = 1 << 18, SPACE = 1 << 20 };

struct shared { /* between the two processes */
	volatile int ready, stop, stopped;
	volatile uint64_t bytes, messages, accepted;
	volatile double begin, end, processor;
	volatile long memory;
};
static struct shared *shared;
static char mode, in[LARGEST], out[LARGEST];
static size_t size;
static int path_mtu;
static volatile uint64_t trips;
static volatile int running;

static double clock_of(clockid_t id) { struct timespec t; clock_gettime(id, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static double now(void) { return clock_of(CLOCK_MONOTONIC); }
static double cpu(void) { return clock_of(CLOCK_PROCESS_CPUTIME_ID); }

static long resident(void)
{
	long all = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f) {
		if (fscanf(f, "%ld %ld", &all, &pages) != 2) pages = 0;
		fclose(f);
	}
	return pages * sysconf(_SC_PAGESIZE);
}

static void fail(const char *what) { perror(what); kill(0, SIGKILL); }

static void set(struct socket *s, int option, const void *value, socklen_t length)
{
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, option, value, length)) fail("setsockopt");
}

static struct socket *new_socket(void)
{
	struct socket *s = usrsctp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	int on = 1;
	struct sctp_udpencaps encaps = {0};
	struct sctp_paddrparams path = {0};
	if (!s) fail("socket");
	set(s, SCTP_NODELAY, &on, sizeof on);
	encaps.sue_address.ss_family = AF_INET;
	encaps.sue_port = htons(SERVER_UDP);
	set(s, SCTP_REMOTE_UDP_ENCAPS_PORT, &encaps, sizeof encaps);
	if (path_mtu) {
		path.spp_address.ss_family = AF_INET;
		path.spp_flags = SPP_PMTUD_DISABLE;
		path.spp_pathmtu = path_mtu;
		set(s, SCTP_PEER_ADDR_PARAMS, &path, sizeof path);
	}
	return s;
}

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in a = {0};
	a.sin_family = AF_INET;
	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static void put(struct socket *s, const void *data, size_t length)
{
	struct sctp_sndinfo info = {0};
	if (usrsctp_sendv(s, data, length, NULL, 0, &info, sizeof info, SCTP_SENDV_SNDINFO, 0) < 0 && running) fail("send");
}

static ssize_t get(struct socket *s, int *flags)
{
	struct sctp_rcvinfo info;
	struct sockaddr_in from;
	socklen_t info_length = sizeof info, from_length = sizeof from;
	unsigned type = 0;
	*flags = 0;
	return usrsctp_recvv(s, in, sizeof in, (struct sockaddr *)&from, &from_length, &info, &info_length, &type, flags);
}

static void on_server(struct socket *s, void *data, int what)
{
	ssize_t n;
	int flags;
	(void)data; (void)what;
	if (!(usrsctp_get_events(s) & SCTP_EVENT_READ)) return;
	while ((n = get(s, &flags)) > 0) {
		if (flags & MSG_NOTIFICATION) continue;
		if (mode == 'p') { put(s, in, n); continue; }
		if (!shared->bytes) { shared->processor = cpu(); shared->begin = now(); }
		shared->bytes += n;
		if (flags & MSG_EOR) shared->messages++;
		shared->end = now();
	}
	if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
		usrsctp_set_upcall(s, NULL, NULL);
		usrsctp_close(s);
	}
}

static void on_accept(struct socket *s, void *data, int what)
{
	struct socket *peer;
	(void)data; (void)what;
	while ((peer = usrsctp_accept(s, NULL, NULL)) != NULL) {
		usrsctp_set_non_blocking(peer, 1);
		shared->accepted++;
		usrsctp_set_upcall(peer, on_server, NULL);
		on_server(peer, NULL, 0);
	}
}

static void on_client(struct socket *s, void *data, int what)
{
	int flags;
	(void)data; (void)what;
	while (usrsctp_get_events(s) & SCTP_EVENT_READ && get(s, &flags) > 0) {
		trips++;
		if (running) put(s, out, size);
	}
}

static void start(int udp)
{
	usrsctp_init(udp, NULL, NULL);
	usrsctp_sysctl_set_sctp_no_csum_on_loopback(0);
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	usrsctp_sysctl_set_sctp_sendspace(SPACE);
	usrsctp_sysctl_set_sctp_recvspace(SPACE);
}

static void serve(void)
{
	struct sockaddr_in address = loopback(PORT);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start(SERVER_UDP);
	running = 1;
	struct socket *s = new_socket();
	if (usrsctp_bind(s, (struct sockaddr *)&address, sizeof address)) fail("bind");
	usrsctp_set_non_blocking(s, 1);
	if (usrsctp_listen(s, 1000)) fail("listen");
	usrsctp_set_upcall(s, on_accept, NULL);
	shared->memory = resident();
	shared->ready = 1;
	while (!shared->stop) usleep(5000);
	shared->processor = cpu() - shared->processor;
	shared->memory = resident() - shared->memory;
	shared->stopped = 1;
	for (;;) pause();
}

static struct socket *dial(void)
{
	struct sockaddr_in address = loopback(PORT);
	struct socket *s = new_socket();
	if (usrsctp_connect(s, (struct sockaddr *)&address, sizeof address)) fail("connect");
	return s;
}

int main(int argc, char **argv)
{
	if (argc != 7) { fprintf(stderr, "usage: see the head of usrsctp.c\n"); return 2; }
	mode = argv[1][0];
	size = atoi(argv[2]);
	double seconds = atof(argv[3]), begin, processor, spent;
	path_mtu = atoi(argv[4]);
	long count = atol(argv[5]), done = 0;
	if (!strcmp(argv[6], "same")) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(0, &one);
		sched_setaffinity(0, sizeof one, &one);
	}
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	alarm((unsigned)seconds + 60);
	pid_t server = fork();
	if (server == 0) serve();
	start(CLIENT_UDP);
	while (!shared->ready) usleep(1000);
	memset(out, 'x', sizeof out);
	running = 1;
	struct socket *s = mode == 's' ? NULL : dial();
	if (mode == 'p') { usrsctp_set_non_blocking(s, 1); usrsctp_set_upcall(s, on_client, NULL); }
	if (mode == 'm') usleep(100000);
	long memory = resident();
	processor = cpu();
	begin = now();
	if (mode == 'b') while (now() - begin < seconds) put(s, out, size);
	if (mode == 'p') { put(s, out, size); usleep((useconds_t)(seconds * 1e6)); done = trips; }
	if (mode == 's') for (; now() - begin < seconds; done++) {
		struct linger hard = {1, 0};
		s = dial();
		usrsctp_setsockopt(s, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		usrsctp_close(s);
	}
	if (mode == 'm') { for (; done < count; done++) dial(); usleep(300000); }
	spent = now() - begin;
	processor = (cpu() - processor) / spent;
	memory = resident() - memory;
	running = 0;
	if (mode == 'b') for (uint64_t seen = ~0ull; seen != shared->bytes;) { seen = shared->bytes; usleep(100000); }
	shared->stop = 1;
	for (int i = 0; i < 200 && !shared->stopped; i++) usleep(10000);
	double received = shared->end - shared->begin;
	if (mode == 'b') printf("{\"rx_MB_s\": %.3f, \"rx_msg_s\": %.0f, \"tx_cpu\": %.3f, \"rx_cpu\": %.3f}\n",
		shared->bytes / 1e6 / received, shared->messages / received, processor, shared->processor / received);
	if (mode == 'p') printf("{\"trips_s\": %.0f, \"us\": %.2f, \"tx_cpu\": %.3f}\n", done / spent, spent * 1e6 / done, processor);
	if (mode == 's') printf("{\"setups_s\": %.0f, \"accepted\": %lu, \"tx_cpu\": %.3f}\n", done / spent, (unsigned long)shared->accepted, processor);
	if (mode == 'm') printf("{\"tx_bytes_per_association\": %ld, \"rx_bytes_per_association\": %ld}\n",
		memory / count, shared->memory / (count + 1));
	fflush(stdout);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	_exit(0);
}
