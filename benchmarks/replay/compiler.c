/* A compiler and linker that costs what a recorded one cost: sleeps, allocates, writes the same bytes each time.
 *
 * Called as nvcc, g++ or any other name, with the options that CMake gives a compiler. `replay.conf` beside the
 * program says what to replay (see compiler.py); an output that no profile names costs nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 512
#define FILES 256
#define UNIT (2u << 20)
#define MAPS 65536

struct account {
    uint64_t peak, kills;
    struct { int32_t pid; int32_t unused; uint64_t bytes; } slot[SLOTS];
};

struct settings {
    char profile[PATH_MAX], account[PATH_MAX], log[PATH_MAX], faults[PATH_MAX], attempts[PATH_MAX];
    double time, memory, size;
    uint64_t cap;
    int asker_dies;
} conf;

struct cost { double seconds; double memory; double size; } cost;
struct fault { char name[32]; double value; } fault;

static const char *tool, *output, *source, *depfile;
static const char *folder[FILES], *input[FILES * 8];
static int folders, inputs;
static char dependency[FILES][PATH_MAX];
static int dependencies;
static uint64_t digest = 1469598103934665603ull;
static struct account *book;
static int book_file = -1, log_file = -1, my_slot = -1, is_link;
static void *map[MAPS];
static int maps, page_file = -1;
static struct timespec begun;

static void die(const char *text) { fprintf(stderr, "replay: %s: %s\n", text, strerror(errno)); exit(97); }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void note(const char *event, const char *extra)
{
    char line[PATH_MAX + 256];
    int n = snprintf(line, sizeof line, "%.6f\t%s\t%d\t%s\t%s\n", now(), event, getpid(), output, extra);
    if (log_file >= 0 && write(log_file, line, n) != n) die("log");
}

static void mix(const void *data, size_t n)
{
    const unsigned char *p = data;
    while (n--) { digest ^= *p++; digest *= 1099511628211ull; }
}

/* settings, profile, faults */

static void read_settings(void)
{
    char self[PATH_MAX], path[PATH_MAX + 16], line[PATH_MAX + 64], key[64], value[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) die("/proc/self/exe");
    self[n] = 0;
    snprintf(path, sizeof path, "%s/replay.conf", dirname(self));
    conf.time = conf.memory = conf.size = 1;
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%63s %4095[^\n]", key, value) != 2) continue;
        if (!strcmp(key, "profile")) strcpy(conf.profile, value);
        else if (!strcmp(key, "account")) strcpy(conf.account, value);
        else if (!strcmp(key, "log")) strcpy(conf.log, value);
        else if (!strcmp(key, "faults")) strcpy(conf.faults, value);
        else if (!strcmp(key, "attempts")) strcpy(conf.attempts, value);
        else if (!strcmp(key, "time")) conf.time = atof(value);
        else if (!strcmp(key, "memory")) conf.memory = atof(value);
        else if (!strcmp(key, "size")) conf.size = atof(value);
        else if (!strcmp(key, "cap")) conf.cap = strtoull(value, 0, 10);
        else if (!strcmp(key, "victim")) conf.asker_dies = !strcmp(value, "asker");
    }
    fclose(file);
}

static void read_cost(void)
{
    char line[PATH_MAX + 64];
    FILE *file = fopen(conf.profile, "r");
    if (!file) return;
    size_t n = strlen(output);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, output, n) && line[n] == '\t')
            sscanf(line + n, "%lf %lf %lf", &cost.seconds, &cost.memory, &cost.size);
    fclose(file);
}

static int attempt(void)
{
    char path[PATH_MAX + 32];
    uint64_t name = 1469598103934665603ull;
    for (const char *p = output; *p; p++) name = (name ^ (unsigned char)*p) * 1099511628211ull;
    snprintf(path, sizeof path, "%s/%016llx", conf.attempts, (unsigned long long)name);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file < 0 || write(file, "x", 1) != 1) die(path);
    int count = (int)lseek(file, 0, SEEK_CUR);
    close(file);
    return count;
}

static void read_fault(void)
{
    char line[PATH_MAX + 128], name[PATH_MAX], what[32];
    double value;
    int times, tried = 0;
    FILE *file = conf.faults[0] ? fopen(conf.faults, "r") : 0;
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        value = 0, times = 0;
        if (sscanf(line, "%4095[^\t]\t%31s %lf %d", name, what, &value, &times) < 2) continue;
        if (strcmp(name, output)) continue;
        if (!tried) tried = attempt();
        if (times && tried > times) continue;
        strcpy(fault.name, what);
        fault.value = value;
    }
    fclose(file);
    if (!strcmp(fault.name, "grow")) cost.memory *= fault.value;
}

static int faulty(const char *name) { return !strcmp(fault.name, name); }

/* the memory of all running replays, held against one cap */

static void open_book(void)
{
    if (!conf.account[0]) return;
    char pages[PATH_MAX + 16];
    book_file = open(conf.account, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (book_file < 0 || ftruncate(book_file, sizeof *book)) die(conf.account);
    book = mmap(0, sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED, book_file, 0);
    if (book == MAP_FAILED) die("mmap");
    snprintf(pages, sizeof pages, "%s.pages", conf.account);
    page_file = open(pages, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (page_file < 0 || ftruncate(page_file, UNIT)) die(pages);
}

static void lock_book(void)
{
    while (flock(book_file, LOCK_EX) && errno == EINTR) {}
}

static void unlock_book(void) { flock(book_file, LOCK_UN); }

static void take_slot(void)
{
    lock_book();
    for (int i = 0; i < SLOTS; i++)
        if (!book->slot[i].pid || (kill(book->slot[i].pid, 0) && errno == ESRCH)) {
            book->slot[i].pid = getpid(), book->slot[i].bytes = 0, my_slot = i;
            break;
        }
    unlock_book();
    if (my_slot < 0) die("no slot");
}

static void out_of_memory(int chosen)
{
    char text[64];
    snprintf(text, sizeof text, "victim=%d", book->slot[chosen].pid);
    note("oom", text);
    book->kills++;
    book->slot[chosen].bytes = 0;
    if (conf.asker_dies) {
        book->slot[my_slot].pid = 0;
        unlock_book();
        printf("%s: fatal error C1060: compiler is out of heap space\n", source ? source : output);
        fflush(stdout);
        _exit(2);
    }
    kill(book->slot[chosen].pid, SIGKILL);
}

/* Raise or lower what this process holds; the kernel's way out where the cap is passed: the largest is killed. */
static void hold(double bytes)
{
    uint64_t wanted = (uint64_t)bytes;
    if (!book) return;
    lock_book();
    for (;;) {
        uint64_t sum = 0, most = 0;
        int chosen = my_slot;
        book->slot[my_slot].bytes = wanted;
        for (int i = 0; i < SLOTS; i++) {
            if (!book->slot[i].pid) continue;
            if (i != my_slot && kill(book->slot[i].pid, 0) && errno == ESRCH) { book->slot[i].pid = 0; continue; }
            sum += book->slot[i].bytes;
            if (book->slot[i].bytes > most) most = book->slot[i].bytes, chosen = i;
        }
        if (!conf.cap || sum <= conf.cap) {
            if (sum > book->peak) book->peak = sum;
            break;
        }
        out_of_memory(conf.asker_dies ? my_slot : chosen);
    }
    unlock_book();
    int target = (int)(bytes * conf.memory / UNIT); /* a process has nearly a unit before */
    for (; maps > target; maps--) munmap(map[maps - 1], UNIT);
    for (; maps < target && maps < MAPS; maps++) {
        /* the same few pages again and again: resident size without the memory */
        map[maps] = mmap(0, UNIT, PROT_READ, MAP_SHARED | MAP_POPULATE, page_file, 0);
        if (map[maps] == MAP_FAILED) die("mmap pages");
    }
}

static void until(double share)
{
    double left = cost.seconds * conf.time * share;
    struct timespec t = begun;
    t.tv_sec += (time_t)left;
    t.tv_nsec += (long)((left - (time_t)left) * 1e9);
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0) == EINTR) {}
}

/* command line and inputs */

static void read_arguments(int count, char **word)
{
    is_link = 1;
    for (int i = 1; i < count; i++) {
        const char *a = word[i];
        if (!strcmp(a, "-o")) output = word[++i];
        else if (!strcmp(a, "-c")) { source = word[++i], is_link = 0; }
        else if (!strcmp(a, "-MF")) depfile = word[++i];
        else if (!strcmp(a, "-MT") || !strcmp(a, "-x")) i++;
        else if (!strncmp(a, "-I", 2) && folders < FILES) folder[folders++] = a + 2;
        else if (!strcmp(a, "-isystem") && folders < FILES) folder[folders++] = word[++i];
        else if (!strncmp(a, "-ccbin", 6)) {}
        else if (!strcmp(a, "-gencode") && i + 1 < count) { mix(a, strlen(a)); a = word[++i]; mix(a, strlen(a)); }
        else if (a[0] == '-') mix(a, strlen(a));
        else if (inputs < FILES * 8) input[inputs++] = a;
    }
}

static void read_source(const char *path)
{
    for (int i = 0; i < dependencies; i++)
        if (!strcmp(dependency[i], path)) return;
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "%s: fatal error: %s: No such file or directory\n", source, path);
        exit(1);
    }
    if (dependencies < FILES) snprintf(dependency[dependencies++], PATH_MAX, "%s", path);
    char line[8192], name[PATH_MAX], found[PATH_MAX * 2], here[PATH_MAX];
    while (fgets(line, sizeof line, file)) {
        mix(line, strlen(line));
        if (sscanf(line, " # include \"%4095[^\"]\"", name) != 1) continue;
        strcpy(here, path);
        snprintf(found, sizeof found, "%s/%s", dirname(here), name);
        for (int i = 0; access(found, R_OK) && i < folders; i++)
            snprintf(found, sizeof found, "%s/%s", folder[i], name);
        read_source(found);
    }
    fclose(file);
}

static void read_input(const char *path)
{
    static char block[1 << 16];
    size_t n;
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "/usr/bin/ld: cannot find %s: No such file or directory\n", path);
        fprintf(stderr, "collect2: error: ld returned 1 exit status\n");
        exit(1);
    }
    while ((n = fread(block, 1, sizeof block, file)) > 0) mix(block, n);
    fclose(file);
}

static void write_dependencies(void)
{
    if (!depfile) return;
    FILE *file = fopen(depfile, "w");
    if (!file) die(depfile);
    fprintf(file, "%s:", output);
    for (int i = 0; i < dependencies; i++) {
        fputs(" \\\n  ", file);
        for (const char *p = dependency[i]; *p; p++) {
            if (*p == ' ' || *p == '#') fputc('\\', file);
            fputc(*p, file);
        }
    }
    fputc('\n', file);
    if (fclose(file)) die(depfile);
}

/* Written in place and in pieces over the last hundredths of the time, as compilers do it. */
static void write_output(double share)
{
    uint64_t state = digest | 1, word[512];
    size_t size = (size_t)(cost.size * conf.size) + 64, done = 0;
    int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0) die(output);
    for (int part = 0; done < size; part++) {
        size_t n = size - done < sizeof word ? size - done : sizeof word;
        for (int i = 0; i < 512; i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            word[i] = state;
        }
        if (write(file, word, n) != (ssize_t)n) die(output);
        done += n;
        if (part % 64 == 0) until(share + (1 - share) * done / size);
        if (faulty("half") && done * 2 >= size) { note("end", "half"); kill(getppid(), SIGKILL); kill(getpid(), SIGKILL); }
    }
    if (close(file)) die(output);
}

/* what can go wrong */

static void fail(int code, const char *text)
{
    note("end", fault.name);
    fputs(text, stdout);
    fflush(stdout);
    _exit(code);
}

static void flood(void)
{
    static char line[121];
    memset(line, 'w', 119);
    line[119] = '\n';
    for (double left = fault.value > 0 ? fault.value * 1e6 : 1e7; left > 0; left -= 120) fputs(line, stderr);
}

static void middle(void)
{
    char text[PATH_MAX + 128];
    const char *name = source ? source : output;
    if (faulty("killed")) { note("end", "killed"); kill(getpid(), SIGKILL); }
    if (faulty("killed-whole")) { note("end", "killed"); kill(getppid(), SIGKILL); kill(getpid(), SIGKILL); }
    if (faulty("hang")) for (;;) pause();
    if (faulty("flood")) flood();
    if (faulty("c1060")) {
        snprintf(text, sizeof text, "%s(17): fatal error C1060: compiler is out of heap space\n", name);
        fail(2, text);
    }
    if (faulty("c1061")) {
        snprintf(text, sizeof text, "%s(17): fatal error C1061: compiler limit: blocks nested too deeply\n", name);
        fail(2, text);
    }
    if (faulty("illegal")) fail(1, "nvcc error   : 'cl.exe' died with status 0xC000001D (ILLEGAL_INSTRUCTION)\n");
    if (faulty("bad-alloc"))
        fail(6, "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"
                "nvcc error   : 'cicc' died due to signal 6 \n");
    if (faulty("error")) {
        snprintf(text, sizeof text, "%s(3): error: identifier \"nothing\" is undefined\n\n"
                 "1 error detected in the compilation of \"%s\".\n", name, name);
        fail(2, text);
    }
}

static void work(void)
{
    /* front end, cicc, ptxas, host compiler: time and memory of each, as shares of the whole */
    static const double time_to[] = {0.15, 0.60, 0.85, 0.97}, memory_of[] = {0.55, 1.0, 0.5, 0.7};
    open_book();
    if (book) take_slot();
    if (faulty("deaf")) { signal(SIGINT, SIG_IGN); signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_IGN); }
    for (int phase = 0; phase < 4; phase++) {
        hold(cost.memory * memory_of[phase]);
        until(time_to[phase]);
        if (phase == 1) middle();
    }
    if (!faulty("nothing")) {
        write_dependencies();
        write_output(time_to[3]);
    }
    until(1);
    if (book) { lock_book(); book->slot[my_slot].pid = 0; unlock_book(); }
    note("end", "0");
    fflush(stderr);
    _exit(0);
}

static int ended_by_signal(int number)
{
    if (is_link) {
        fprintf(stderr, "collect2: fatal error: ld terminated with signal %d [%s]\n", number, strsignal(number));
        return 1;
    }
    if (!strncmp(tool, "nvcc", 4)) {
        printf("nvcc error   : 'cicc' died due to signal %d %s\n", number, number == 9 ? "(Kill signal)" : "");
        return number;
    }
    fprintf(stderr, "%s: fatal error: %s signal terminated program cc1plus\ncompilation terminated.\n", tool,
            strsignal(number));
    return 1;
}

int main(int count, char **word)
{
    int status;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    tool = basename(word[0]);
    if (count > 1 && !strcmp(word[1], "--version")) {
        if (!strncmp(tool, "nvcc", 4))
            puts("nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88");
        else printf("%s (replay) 12.2.0\n", tool);
        return 0;
    }
    read_arguments(count, word);
    if (!output) { fprintf(stderr, "%s: fatal error: no output\n", tool); return 1; }
    read_settings();
    log_file = conf.log[0] ? open(conf.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    read_cost();
    read_fault();
    note("begin", fault.name);
    if (source) read_source(source);
    for (int i = 0; is_link && i < inputs; i++)
        if (strstr(input[i], ".o")) read_input(input[i]);
    pid_t child = fork();
    if (child < 0) die("fork");
    if (!child) work();
    if (faulty("deaf")) { signal(SIGINT, SIG_IGN); signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_IGN); }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFSIGNALED(status)) {
        unlink(output);
        note("end", "signal");
        return ended_by_signal(WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}
