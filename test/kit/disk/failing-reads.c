/* Lets a disk fail for a while: reads of some files fail with EIO as long as a file is there.
 * Preloaded.
 *   FAILING_WHILE  the file
 *   FAILING_BELOW  of which paths: those that this is a part of */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(int fd) {
  const char *file = getenv("FAILING_WHILE"), *below = getenv("FAILING_BELOW");
  if (!file || !below || access(file, F_OK)) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (!strstr(path, below)) return 0;
  errno = EIO;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int f, void *b, size_t n) { return fails(f) ? -1 : REAL(read)(f, b, n); }
ssize_t pread(int f, void *b, size_t n, off_t o) { return fails(f) ? -1 : REAL(pread)(f, b, n, o); }
ssize_t pread64(int f, void *b, size_t n, off64_t o) {
  return fails(f) ? -1 : REAL(pread64)(f, b, n, o);
}
ssize_t readv(int f, const struct iovec *v, int c) { return fails(f) ? -1 : REAL(readv)(f, v, c); }
ssize_t preadv(int f, const struct iovec *v, int c, off_t o) {
  return fails(f) ? -1 : REAL(preadv)(f, v, c, o);
}
ssize_t preadv64(int f, const struct iovec *v, int c, off64_t o) {
  return fails(f) ? -1 : REAL(preadv64)(f, v, c, o);
}
ssize_t sendfile(int to, int f, off_t *o, size_t n) {
  return fails(f) ? -1 : REAL(sendfile)(to, f, o, n);
}
ssize_t sendfile64(int to, int f, off64_t *o, size_t n) {
  return fails(f) ? -1 : REAL(sendfile64)(to, f, o, n);
}
