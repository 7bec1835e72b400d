/* Counts the calls of one process, all threads together, that change something under a directory,
 * and kills the process before the n-th or lets it fail. Preloaded; told what to do through a file
 * that is mapped by both sides:
 *   NTH_CONTROL  three 64-bit numbers: mode (0 off, 1 count, 2 kill, 3 EIO, 4 ENOSPC), n, calls
 *                so far; then of each call that is counted its kind, a letter, a capital one
 *                where it is about the catalog
 *   NTH_DIRECTORY  only calls on files below it count
 * strace counts per thread, which says nothing about a program with a thread pool. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NUMBERS_BYTES = 24, KINDS_MAX = 4096, CONTROL_BYTES = NUMBERS_BYTES + KINDS_MAX };

static _Atomic int64_t *control;
static _Thread_local int is_catalog;
static const char *directory;
static size_t directory_length;

__attribute__((constructor)) static void start(void) {
  const char *file = getenv("NTH_CONTROL");
  directory = getenv("NTH_DIRECTORY");
  if (!file || !directory) return;
  directory_length = strlen(directory);
  int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  int fd = real_open(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *map = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) control = map;
}

static int is_below(const char *path) {
  is_catalog = path && strstr(path, "/catalog.db") != NULL;
  return path && strncmp(path, directory, directory_length) == 0 && path[directory_length] == '/';
}

static int is_fd_below(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_below(path) || strcmp(path, directory) == 0;
}

/* 0, or the errno with which this call is to fail. */
static int counted(char kind) {
  int64_t mode = control[0];
  if (mode == 0) return 0;
  int64_t call = ++control[2];
  if (mode == 1 && call <= KINDS_MAX)
    ((char *)control)[NUMBERS_BYTES + call - 1] = is_catalog ? toupper(kind) : kind;
  if (mode == 1 || call != control[1]) return 0;
  if (mode == 2) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  return mode == 3 ? EIO : ENOSPC;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSE_IF(kind, below)           \
  if (control && control[0] && (below)) { \
    int refusal = counted(kind);         \
    if (refusal) {                       \
      errno = refusal;                   \
      return -1;                         \
    }                                    \
  }

int fsync(int fd) {
  REFUSE_IF('s', is_fd_below(fd))
  return REAL(fsync)(fd);
}
int fdatasync(int fd) {
  REFUSE_IF('s', is_fd_below(fd))
  return REAL(fdatasync)(fd);
}
int fchmod(int fd, mode_t mode) {
  REFUSE_IF('m', is_fd_below(fd))
  return REAL(fchmod)(fd, mode);
}
int ftruncate(int fd, off_t length) {
  REFUSE_IF('t', is_fd_below(fd))
  return REAL(ftruncate)(fd, length);
}
int ftruncate64(int fd, off64_t length) {
  REFUSE_IF('t', is_fd_below(fd))
  return REAL(ftruncate64)(fd, length);
}
ssize_t write(int fd, const void *bytes, size_t length) {
  REFUSE_IF('w', is_fd_below(fd))
  return REAL(write)(fd, bytes, length);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  REFUSE_IF('w', is_fd_below(fd))
  return REAL(pwrite)(fd, bytes, length, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  REFUSE_IF('w', is_fd_below(fd))
  return REAL(pwrite64)(fd, bytes, length, at);
}
ssize_t writev(int fd, const struct iovec *pieces, int count) {
  REFUSE_IF('w', is_fd_below(fd))
  return REAL(writev)(fd, pieces, count);
}
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at) {
  REFUSE_IF('w', is_fd_below(fd))
  return REAL(pwritev)(fd, pieces, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t at) {
  REFUSE_IF('w', is_fd_below(fd))
  return REAL(pwritev64)(fd, pieces, count, at);
}
int rename(const char *from, const char *to) {
  REFUSE_IF('r', is_below(to))
  return REAL(rename)(from, to);
}
int unlink(const char *path) {
  REFUSE_IF('u', is_below(path))
  return REAL(unlink)(path);
}
int mkdir(const char *path, mode_t mode) {
  REFUSE_IF('d', is_below(path))
  return REAL(mkdir)(path, mode);
}
/* Every open counts: what is opened for reading is synced or looked at on the way of a push. */
#define OPEN(name)                                       \
  int name(const char *path, int flags, ...) {           \
    mode_t mode = 0;                                     \
    if (flags & (O_CREAT | __O_TMPFILE)) {               \
      va_list rest;                                      \
      va_start(rest, flags);                             \
      mode = va_arg(rest, mode_t);                       \
      va_end(rest);                                      \
    }                                                    \
    REFUSE_IF('o', is_below(path))                       \
    return REAL(name)(path, flags, mode);                \
  }
OPEN(open)
OPEN(open64)
