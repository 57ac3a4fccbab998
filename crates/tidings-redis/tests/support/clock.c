/* A clock that a test can set: preloaded into a Redis server, it adds to the time of day what a file says.
 *
 * The file holds one signed number of microseconds, in the machine's own order of bytes, and is looked at each
 * time. Touches nothing but the time of day: clocks that only ever go forward are how a process measures, and no
 * administrator can set them. Allocates nothing and takes no lock, because the allocator of the server asks for
 * the time before it is ready itself. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_us;

__attribute__((constructor)) static void open_clock(void) {
  const char *path = getenv("TEST_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof *offset_us, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) offset_us = mapped;
}

static int64_t now_us(void) {
  struct timespec real;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
  return (int64_t)real.tv_sec * 1000000 + real.tv_nsec / 1000 + (offset_us ? *offset_us : 0);
}

int clock_gettime(clockid_t clock, struct timespec *answer) {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) {
    return (int)syscall(SYS_clock_gettime, clock, answer);
  }
  int64_t now = now_us();
  answer->tv_sec = now / 1000000;
  answer->tv_nsec = now % 1000000 * 1000;
  return 0;
}

int gettimeofday(struct timeval *restrict answer, void *restrict zone) {
  (void)zone;
  int64_t now = now_us();
  answer->tv_sec = now / 1000000;
  answer->tv_usec = now % 1000000;
  return 0;
}

time_t time(time_t *answer) {
  time_t now = now_us() / 1000000;
  if (answer) *answer = now;
  return now;
}
