/*
 * linkem: carries IPv4 packets between two network namespaces over an emulated link. Others are
 * ignored: the kernel sends IPv6 of its own, and each such packet would shift the losses by one.
 *
 *     cc -O2 -Wall -Wextra -std=gnu11 -o linkem linkem.c
 *     linkem [OPTION...] NEAR/DEVICE FAR/DEVICE
 *
 * NEAR and FAR are namespaces that `ip netns add` made; a TUN device is created in each. A link is
 * silent until its devices are up and have addresses:
 *
 *     ip netns add a; ip netns add b; linkem --delay 25 --rate 100 a/link0 b/link0 &
 *     ip -n a address add 10.0.0.1/24 dev link0; ip -n a link set link0 up
 *     ip -n b address add 10.0.0.2/24 dev link0; ip -n b link set link0 up
 *
 * Options; X[,Y] is X from near to far and Y from far to near, or X both ways:
 *
 *     --delay MS           one-way delay, never less, up to 0.1 ms more when the machine is idle; 0
 *     --loss PERCENT[,..]  share of the packets that is lost at random; 0
 *     --rate MBIT[,..]     10^6 bits of IP packets per second, 0 for no limit; 0
 *     --queue BYTES[,..]   what may wait for the rate before the newest is dropped; by default the
 *                          rate times the round trip, at least 96,000
 *     --seed N             of the losses, which depend on it and a packet's number alone; 1
 *
 * Prints `ready PID` when both devices exist, and ends with its standard input, by SIGINT or by
 * SIGTERM, with the counters as one line of JSON on stderr: packets and bytes delivered, and the
 * packets dropped by loss, by a full queue, by a blackout, for being UDP, and by a device that is
 * down; what was still under way is in none. Ends with 2 when the arguments are wrong and with 1
 * when the machine refuses.
 *
 * SIGUSR1 toggles a blackout, in which every packet is dropped, SIGUSR2 the dropping of UDP; both
 * also take what is under way. Once a change is in force it is told on stdout, numbered:
 * `1 blackout on`, `2 udp-block on`, `3 blackout off`.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_PACKET 65535
/* 64 packets of 1,500 bytes: one burst of a TCP sender's segmentation offload fits. */
#define MIN_QUEUE 96000.0
/* What a link without a rate may hold: more than the window of one TCP connection. */
#define UNLIMITED_RING (64.0 * 1024 * 1024)
#define MAX_RING (1024.0 * 1024 * 1024)
/* Packets taken from one device before the other gets its turn. */
#define BATCH 64
/* More than a device's transmit queue holds. */
#define DRAIN 65536
/* ns; as network cards do it: fewer wake-ups, half the CPU at 100 Mbit/s. */
#define MAX_LATE 100000
#define NEVER UINT64_MAX

struct packet {
    uint64_t due; /* CLOCK_MONOTONIC, ns */
    uint32_t length;
    uint8_t data[];
};

#define RECORD(length) ((offsetof(struct packet, data) + (length) + 7) & ~(size_t)7)

/* Records between head and tail; mapped twice in a row, so that none is ever split. */
struct ring {
    uint8_t *base;
    size_t size;
    uint64_t head, tail;
};

struct direction {
    int in, out;
    struct ring ring;
    double loss; /* 0 to 1 */
    double ns_per_byte; /* 0: no limit */
    double queue; /* bytes */
    uint64_t idle_at; /* when the last byte that was admitted has left, ns */
    uint64_t random;
    struct {
        uint64_t packets, bytes, lost, overflowed, dark, blocked, refused;
    } count;
};

struct options {
    double delay; /* ms */
    double loss[2], rate[2], queue[2];
    uint64_t seed;
    char *end[2]; /* NAMESPACE/DEVICE */
};

static struct {
    uint64_t delay; /* ns */
    bool dark, blocks_udp;
    unsigned changes;
    struct direction way[2]; /* to far, to near */
} state;

static struct options parse(int argc, char **argv);
static void open_link(const struct options *options);
static void run(int signals);
static bool obey(int signals);
static void receive(struct direction *way, unsigned limit);
static uint64_t deliver(struct direction *way);
static void print_counters(void);
static uint64_t clock_ns(void);
static void check(bool ok, const char *format, ...);
static void fail_usage(const char *what);

int main(int argc, char **argv)
{
    sigset_t set;
    sigemptyset(&set);
    const int handled[] = {SIGUSR1, SIGUSR2, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) sigaddset(&set, handled[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    check(signals >= 0, "signalfd");
    check(prctl(PR_SET_TIMERSLACK, MAX_LATE) == 0, "prctl");

    struct options options = parse(argc, argv);
    open_link(&options);
    printf("ready %d\n", getpid());
    fflush(stdout);
    run(signals);
    print_counters();
    return 0;
}

/* ---- the loop ---- */

static void run(int signals)
{
    struct direction *way = state.way;
    struct pollfd polled[] = {
        {.fd = way[0].in, .events = POLLIN},
        {.fd = way[1].in, .events = POLLIN},
        {.fd = signals, .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    for (bool running = true; running;) {
        uint64_t due[] = {deliver(&way[0]), deliver(&way[1])};
        uint64_t next = due[0] < due[1] ? due[0] : due[1];
        uint64_t now = clock_ns();
        uint64_t left = next > now ? next - now : 0;
        struct timespec timeout = {
            .tv_sec = (time_t)(left / 1000000000),
            .tv_nsec = (long)(left % 1000000000),
        };
        int ready = ppoll(polled, 4, next == NEVER ? NULL : &timeout, NULL);
        check(ready >= 0 || errno == EINTR, "ppoll");
        if (ready <= 0) continue;
        for (int i = 0; i < 2; i++) {
            if (polled[i].revents) receive(&way[i], BATCH);
        }
        char discarded[256];
        if (polled[3].revents) running = read(STDIN_FILENO, discarded, sizeof discarded) > 0;
        if (polled[2].revents && !obey(signals)) running = false;
    }
}

/* Carries out what signals ask for, after what was sent before them; false when it is to end. */
static bool obey(int signals)
{
    for (int i = 0; i < 2; i++) {
        receive(&state.way[i], DRAIN);
        deliver(&state.way[i]);
    }
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGUSR1 && info.ssi_signo != SIGUSR2) return false;
        bool blackout = info.ssi_signo == SIGUSR1;
        bool *on = blackout ? &state.dark : &state.blocks_udp;
        *on = !*on;
        printf("%u %s %s\n", ++state.changes, blackout ? "blackout" : "udp-block",
               *on ? "on" : "off");
        fflush(stdout);
    }
    return true;
}

/* ---- packets ---- */

static struct packet *at(struct ring *ring, uint64_t position)
{
    return (struct packet *)(ring->base + position % ring->size);
}

static bool is_udp(const struct packet *packet)
{
    return packet->data[9] == IPPROTO_UDP;
}

/* Whether the link drops such a packet now, and counts it if so. */
static bool is_cut(struct direction *way, const struct packet *packet)
{
    if (state.dark) way->count.dark++;
    else if (state.blocks_udp && is_udp(packet)) way->count.blocked++;
    else return false;
    return true;
}

/* The next of SplitMix64 (Steele, Lea, Flood 2014), as a number from 0 to below 1. */
static double draw(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* The time at which a packet has left at the rate of the link; NEVER when the queue is full. */
static uint64_t departure(const struct direction *way, uint64_t now, uint32_t length)
{
    if (way->ns_per_byte == 0) return now;
    /* Rounded up, so that no sum of packets is ever faster than the rate. */
    uint64_t duration = (uint64_t)(length * way->ns_per_byte) + 1;
    if (way->idle_at <= now) return now + duration;
    double waiting = (double)(way->idle_at - now) / way->ns_per_byte;
    return waiting + length > way->queue ? NEVER : way->idle_at + duration;
}

static void receive(struct direction *way, unsigned limit)
{
    struct ring *ring = &way->ring;
    while (limit-- > 0) {
        struct packet *packet = at(ring, ring->tail);
        ssize_t length = read(way->in, packet->data, MAX_PACKET);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
        check(length >= 0, "read from the device");
        packet->length = (uint32_t)length;
        if (length < 20 || packet->data[0] >> 4 != 4) continue;

        bool lost = draw(&way->random) < way->loss;
        if (is_cut(way, packet)) continue;
        if (lost) {
            way->count.lost++;
            continue;
        }
        uint64_t left = departure(way, clock_ns(), packet->length);
        uint64_t tail = ring->tail + RECORD(packet->length);
        /* Room for the next packet is kept, because it is read before its fate is known. */
        if (left == NEVER || tail - ring->head + RECORD(MAX_PACKET) > ring->size) {
            way->count.overflowed++;
            continue;
        }
        way->idle_at = left;
        packet->due = left + state.delay;
        ring->tail = tail;
    }
}

/* Delivers what is due; returns when the next packet will be. */
static uint64_t deliver(struct direction *way)
{
    struct ring *ring = &way->ring;
    uint64_t now = clock_ns();
    while (ring->head != ring->tail) {
        struct packet *packet = at(ring, ring->head);
        if (packet->due > now) return packet->due;
        ring->head += RECORD(packet->length);
        if (is_cut(way, packet)) continue;
        if (write(way->out, packet->data, packet->length) != (ssize_t)packet->length) {
            way->count.refused++;
            continue;
        }
        way->count.packets++;
        way->count.bytes += packet->length;
    }
    /* The same few pages serve a link that is mostly empty. */
    ring->head = ring->tail = 0;
    return NEVER;
}

/* ---- setting up ---- */

/* A TUN device in a namespace, which this process then belongs to. */
static int open_tun(char *end)
{
    char *slash = strchr(end, '/');
    const char *device = slash + 1;
    char path[256];
    snprintf(path, sizeof path, "/var/run/netns/%.*s", (int)(slash - end), end);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    check(namespace >= 0, "open %s", path);
    check(setns(namespace, CLONE_NEWNET) == 0, "enter %s", path);
    close(namespace);

    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    check(tun >= 0, "open /dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    check(ioctl(tun, TUNSETIFF, &request) == 0, "create device %s", device);
    return tun;
}

static struct ring open_ring(double needed)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = ((size_t)needed + page - 1) / page * page;
    int memory = memfd_create("linkem", MFD_CLOEXEC);
    check(memory >= 0 && ftruncate(memory, (off_t)size) == 0, "make a ring");
    uint8_t *base = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(base != MAP_FAILED, "map a ring");
    for (int i = 0; i < 2; i++) {
        void *half = mmap(base + (size_t)i * size, size, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED, memory, 0);
        check(half != MAP_FAILED, "map a ring");
    }
    close(memory);
    return (struct ring){.base = base, .size = size};
}

static void open_link(const struct options *options)
{
    int tun[2];
    for (int i = 0; i < 2; i++) tun[i] = open_tun(options->end[i]);
    state.delay = (uint64_t)(options->delay * 1e6 + 0.5);
    for (int i = 0; i < 2; i++) {
        double bytes_per_ms = options->rate[i] * 125;
        double round_trip = bytes_per_ms * 2 * options->delay;
        double queue = options->queue[i];
        if (queue == 0) queue = round_trip > MIN_QUEUE ? round_trip : MIN_QUEUE;
        /* A record is at most twice its packet, which has 20 bytes or more. */
        double held = bytes_per_ms == 0
            ? UNLIMITED_RING
            : 2 * (queue + round_trip / 2) + 16.0 * RECORD(MAX_PACKET);
        if (held > MAX_RING) fail_usage("so much rate and delay");
        state.way[i] = (struct direction){
            .in = tun[i],
            .out = tun[1 - i],
            .ring = open_ring(held),
            .loss = options->loss[i] / 100,
            .ns_per_byte = bytes_per_ms == 0 ? 0 : 1e6 / bytes_per_ms,
            .queue = queue,
            /* Half a period apart, so that no two directions ever draw the same numbers. */
            .random = options->seed + ((uint64_t)i << 63),
        };
    }
}

/* ---- arguments ---- */

/* One number, or two with a comma between them. */
static void parse_numbers(const char *text, double *numbers, int wanted, double max)
{
    const char *rest = text;
    for (int i = 0; i < wanted; i++) {
        char *end;
        numbers[i] = strtod(rest, &end);
        /* Written so that NaN fails as well. */
        if (end == rest || !(numbers[i] >= 0 && numbers[i] <= max)) fail_usage(text);
        if (i == 0 && *end == '\0') {
            if (wanted == 2) numbers[1] = numbers[0];
            return;
        }
        if (*end != (i + 1 < wanted ? ',' : '\0')) fail_usage(text);
        rest = end + 1;
    }
}

static struct options parse(int argc, char **argv)
{
    struct options options = {.seed = 1};
    static const struct option known[] = {
        {"delay", required_argument, NULL, 'd'}, {"loss", required_argument, NULL, 'l'},
        {"rate", required_argument, NULL, 'r'},  {"queue", required_argument, NULL, 'q'},
        {"seed", required_argument, NULL, 's'},  {0},
    };
    double seed;
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (letter) {
        case 'd': parse_numbers(optarg, &options.delay, 1, 60000); break;
        case 'l': parse_numbers(optarg, options.loss, 2, 100); break;
        case 'r': parse_numbers(optarg, options.rate, 2, 100000); break;
        case 'q': parse_numbers(optarg, options.queue, 2, MAX_RING); break;
        case 's':
            parse_numbers(optarg, &seed, 1, 0x1p53);
            options.seed = (uint64_t)seed;
            break;
        default: exit(2);
        }
    }
    if (argc - optind != 2) fail_usage("these arguments");
    for (int i = 0; i < 2; i++) {
        char *slash = strchr(argv[optind + i], '/');
        if (!slash || strlen(slash + 1) >= IFNAMSIZ) fail_usage(argv[optind + i]);
        options.end[i] = argv[optind + i];
    }
    return options;
}

/* ---- small things ---- */

static void print_counters(void)
{
    for (int i = 0; i < 2; i++) {
        struct direction *way = &state.way[i];
        fprintf(stderr,
                "%s:{\"packets\":%ju,\"bytes\":%ju,\"lost\":%ju,\"overflowed\":%ju,\"dark\":%ju,"
                "\"blocked\":%ju,\"refused\":%ju}%s",
                i == 0 ? "{\"toFar\"" : "\"toNear\"", (uintmax_t)way->count.packets,
                (uintmax_t)way->count.bytes, (uintmax_t)way->count.lost,
                (uintmax_t)way->count.overflowed, (uintmax_t)way->count.dark,
                (uintmax_t)way->count.blocked, (uintmax_t)way->count.refused,
                i == 0 ? "," : "}\n");
    }
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Ends the program, with errno's text, unless it is so. */
static void check(bool ok, const char *format, ...)
{
    if (ok) return;
    int error = errno;
    va_list values;
    va_start(values, format);
    fputs("linkem: ", stderr);
    vfprintf(stderr, format, values);
    fprintf(stderr, ": %s\n", strerror(error));
    va_end(values);
    exit(1);
}

static void fail_usage(const char *what)
{
    fprintf(stderr, "linkem: cannot use %s; see the top of linkem.c\n", what);
    exit(2);
}
