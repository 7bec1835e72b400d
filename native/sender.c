// Sends parts of files to sockets with sendfile(2), from threads of its own, for all JavaScript
// environments of a process. Linux, and nothing of Node but its stable Node-API, so that one binary
// serves every Node. src/http/addon.ts loads it, and the thread that reads what is verified again.
// Its callers say what each function is for; what is checked here is what would corrupt memory or
// reach a stranger's socket.
//
// Who owns what: an environment's table of sendings is touched by its own thread alone. A sending
// is handed to its worker by an order and back by a report; between the two only the worker touches
// it, but for what stands under a lock. It is freed by its owner where it is closed with nothing
// under way, and else by its worker, once it is closed, or with the report of it that is still on
// its way.
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
  /**
   * Half of the cores, within bounds: more than one, so that a read of a slow disk holds up a part
   * of the clients and not all.
   */
  WORKERS_LEAST = 2,
  WORKERS_MOST = 4,
  /**
   * What one sending may take before the others have their turn, or what may wait in a socket by
   * then where that is more: a turn that ends before the socket is full costs one more waking.
   */
  TURN_LEAST_BYTES = 1 << 20,
  /**
   * Bytes that a socket may hold beyond those on their way: what a reader that stalls costs. So it
   * is a share of a sum, within bounds: fewer readers need fewer wake-ups with more. The sum is
   * larger for those that took some mebibytes: they are no stalled ones, not yet.
   */
  UNSENT_SUM_BYTES = 16 << 20,
  UNSENT_MOVING_SUM_BYTES = 160 << 20,
  MOVING_FROM_BYTES = 4 << 20,
  UNSENT_MOST_BYTES = 4 << 20,
  UNSENT_LEAST_BYTES = 128 << 10,
  /**
   * From so many sendings on a worker sleeps for a moment after each look: each socket then has
   * room for more, and waking up is most of what sending costs. With few, sockets may hold so much
   * that it is not, and that moment would be felt.
   */
  GATHER_SENDINGS = 48,
  GATHER_NANOSECONDS = 100 * 1000,
  /** What one look takes; more come with the next. */
  EVENTS_AT_ONCE = 64,
  /** Nothing here recurses; the largest frame is that of the events, below a KiB. */
  WORKER_STACK_BYTES = 256 << 10,
  /**
   * Sendings of one environment at once: more than connections. Also the factor between an id and
   * its place in the table.
   */
  SENDINGS_MAX = 1 << 20,
};

/** From here on numbers of JavaScript are no longer exact. */
static const double NUMBERS_END = 9007199254740992.0;

typedef struct sending sending;

typedef struct worker {
  pthread_mutex_t lock;
  /** Under the lock: the first and the last. */
  sending *orders;
  sending *last_order;
  int epoll;
  /** An eventfd: there are orders. */
  int bell;
  atomic_int load;
} worker;

typedef struct environment {
  napi_ref done;
  napi_threadsafe_function wake;
  sending **table;
  uint32_t places;
  uint32_t opened;
  pthread_mutex_t lock;
  /** Under the lock, as all that follows. */
  sending *reports;
  bool gone;
  /** Sendings that are not freed yet, and the environment itself until it is gone. */
  uint32_t holders;
} environment;

struct sending {
  environment *owner;
  worker *worker;
  double id;
  int socket;
  int file;
  /** Of the owner's thread: an order was given and its report not taken. */
  bool busy;
  off_t position;
  int64_t left;
  int failure;
  bool watched;
  /** What the socket was told. */
  int unsent;
  _Atomic int64_t sent;
  /** Under the worker's lock. */
  sending *next_order;
  bool ordered;
  bool closing;
  /** Under the owner's lock. */
  sending *next_report;
  bool reported;
  bool closed;
};

static worker workers[WORKERS_MOST];
static int worker_count;
static int start_failure;
static pthread_once_t started = PTHREAD_ONCE_INIT;

/** Must be called without the lock; frees the environment with its last holder. */
static void let_go(environment *owner) {
  pthread_mutex_lock(&owner->lock);
  bool last = --owner->holders == 0;
  pthread_mutex_unlock(&owner->lock);
  if (!last) return;
  pthread_mutex_destroy(&owner->lock);
  free(owner->table);
  free(owner);
}

static void free_sending(sending *each) {
  environment *owner = each->owner;
  free(each);
  let_go(owner);
}

/** Tells the owner, in its own thread, that the order is done or has failed. */
static void report(sending *each) {
  environment *owner = each->owner;
  pthread_mutex_lock(&owner->lock);
  if (!owner->gone) {
    bool first = owner->reports == NULL;
    each->reported = true;
    each->next_report = owner->reports;
    owner->reports = each;
    // Under the lock: once the environment is gone the function is, too.
    if (first) napi_call_threadsafe_function(owner->wake, NULL, napi_tsfn_nonblocking);
  }
  pthread_mutex_unlock(&owner->lock);
}

/**
 * The sending's last step: in its worker, or in its owner's thread where the worker has nothing of
 * it.
 */
static void shut(sending *each) {
  environment *owner = each->owner;
  // The socket lives on under another descriptor, so closing this one would not take it out.
  if (each->watched) epoll_ctl(each->worker->epoll, EPOLL_CTL_DEL, each->socket, NULL);
  close(each->socket);
  close(each->file);
  atomic_fetch_sub(&each->worker->load, 1);
  pthread_mutex_lock(&owner->lock);
  each->closed = true;
  bool is_free = !each->reported;
  pthread_mutex_unlock(&owner->lock);
  if (is_free) free_sending(each);
}

static void unwatch(sending *each) {
  if (each->watched) epoll_ctl(each->worker->epoll, EPOLL_CTL_DEL, each->socket, NULL);
  each->watched = false;
}

static void conclude(sending *each, int failure) {
  each->failure = failure;
  unwatch(each);
  report(each);
}

/** For one of the sendings that there are: at least one. */
static int unsent_bytes(sending *each) {
  int sendings = 0;
  for (int at = 0; at < worker_count; at++) sendings += atomic_load(&workers[at].load);
  bool moves = atomic_load(&each->sent) >= MOVING_FROM_BYTES;
  int share = (moves ? UNSENT_MOVING_SUM_BYTES : UNSENT_SUM_BYTES) / sendings;
  if (share > UNSENT_MOST_BYTES) return UNSENT_MOST_BYTES;
  return share < UNSENT_LEAST_BYTES ? UNSENT_LEAST_BYTES : share;
}

/** Told again where it has become quite another number. */
static void limit_unsent(sending *each) {
  int unsent = unsent_bytes(each);
  if (unsent < each->unsent * 2 && unsent > each->unsent / 2) return;
  each->unsent = unsent;
  setsockopt(each->socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

/** One turn. What is left waits until the socket takes more, and for the turns of the others. */
static void step(sending *each) {
  limit_unsent(each);
  int64_t turn = each->unsent < TURN_LEAST_BYTES ? TURN_LEAST_BYTES : each->unsent;
  while (each->left > 0 && turn > 0) {
    size_t most = (size_t)(each->left < turn ? each->left : turn);
    ssize_t count = sendfile(each->socket, each->file, &each->position, most);
    if (count < 0 && errno == EINTR) continue;
    // Nothing: the file is shorter than it was.
    if (count == 0 || (count < 0 && errno != EAGAIN)) {
      conclude(each, count == 0 ? ENODATA : errno);
      return;
    }
    if (count > 0) {
      each->left -= count;
      turn -= count;
      atomic_fetch_add(&each->sent, count);
    }
    // Less than all is nearly always a full socket. If it is not, its being writable is told at
    // once.
    if (count < (ssize_t)most) break;
  }
  if (each->left == 0) {
    conclude(each, 0);
    return;
  }
  if (each->watched) return;
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = each};
  each->watched = epoll_ctl(each->worker->epoll, EPOLL_CTL_ADD, each->socket, &event) == 0;
  if (!each->watched) conclude(each, errno);
}

static void take_orders(worker *self) {
  uint64_t rings;
  while (read(self->bell, &rings, sizeof rings) < 0 && errno == EINTR) continue;
  for (;;) {
    pthread_mutex_lock(&self->lock);
    sending *each = self->orders;
    bool closing = false;
    if (each != NULL) {
      self->orders = each->next_order;
      each->ordered = false;
      closing = each->closing;
    }
    pthread_mutex_unlock(&self->lock);
    if (each == NULL) return;
    if (closing) shut(each);
    else step(each);
  }
}

static void gather(void) {
  struct timespec moment = {.tv_nsec = GATHER_NANOSECONDS};
  nanosleep(&moment, NULL);
}

static void *work(void *argument) {
  worker *self = argument;
  struct epoll_event events[EVENTS_AT_ONCE];
  for (;;) {
    int count = epoll_wait(self->epoll, events, EVENTS_AT_ONCE, -1);
    bool rung = false;
    for (int at = 0; at < count; at++) {
      if (events[at].data.ptr == NULL) rung = true;
      else step(events[at].data.ptr);
    }
    // Last, because it frees what the events above may name.
    if (rung) take_orders(self);
    else if (atomic_load(&self->load) >= GATHER_SENDINGS) gather();
  }
  return NULL;
}

static int start_worker(worker *self) {
  pthread_mutex_init(&self->lock, NULL);
  self->epoll = epoll_create1(EPOLL_CLOEXEC);
  self->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (self->epoll < 0 || self->bell < 0 ||
      epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->bell, &event) != 0) {
    return errno;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
  pthread_t thread;
  int failure = pthread_create(&thread, &attributes, work, self);
  pthread_attr_destroy(&attributes);
  if (failure == 0) pthread_setname_np(thread, "sender");
  return failure;
}

static void start_workers(void) {
  // Signals are for the main thread; the one of a broken connection is an error here.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  worker_count = (int)(sysconf(_SC_NPROCESSORS_ONLN) / 2);
  if (worker_count > WORKERS_MOST) worker_count = WORKERS_MOST;
  if (worker_count < WORKERS_LEAST) worker_count = WORKERS_LEAST;
  for (int at = 0; at < worker_count && start_failure == 0; at++) {
    start_failure = start_worker(&workers[at]);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static worker *least_loaded(void) {
  worker *best = &workers[0];
  for (int at = 1; at < worker_count; at++) {
    if (atomic_load(&workers[at].load) < atomic_load(&best->load)) best = &workers[at];
  }
  atomic_fetch_add(&best->load, 1);
  return best;
}

/**
 * A closing order is the last thing that its caller does with the sending, and he takes it out of
 * the table before: a worker that holds an earlier order of it frees it as soon as the lock is
 * given back. So both words are said under one lock.
 */
static void order(sending *each, bool closing) {
  worker *to = each->worker;
  pthread_mutex_lock(&to->lock);
  bool first = to->orders == NULL;
  if (closing) each->closing = true;
  if (!each->ordered) {
    each->ordered = true;
    each->next_order = NULL;
    if (first) to->orders = each;
    else to->last_order->next_order = each;
    to->last_order = each;
  }
  pthread_mutex_unlock(&to->lock);
  uint64_t once = 1;
  if (first) while (write(to->bell, &once, sizeof once) < 0 && errno == EINTR) continue;
}

/** A free place in the table, which grows; UINT32_MAX when there is none. */
static uint32_t find_place(environment *owner) {
  for (uint32_t tried = 0; tried < owner->places; tried++) {
    uint32_t place = (owner->opened + tried) % owner->places;
    if (owner->table[place] == NULL) return place;
  }
  uint32_t places = owner->places == 0 ? 64 : owner->places * 2;
  if (places > SENDINGS_MAX) return UINT32_MAX;
  sending **table = realloc(owner->table, places * sizeof *table);
  if (table == NULL) return UINT32_MAX;
  for (uint32_t place = owner->places; place < places; place++) table[place] = NULL;
  uint32_t place = owner->places;
  owner->table = table;
  owner->places = places;
  return place;
}

static environment *owner_of(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

static bool arguments(napi_env env, napi_callback_info info, size_t count, double *numbers) {
  napi_value values[3];
  size_t given = count;
  napi_get_cb_info(env, info, &given, values, NULL, NULL);
  for (size_t at = 0; at < count; at++) {
    if (at >= given || napi_get_value_double(env, values[at], &numbers[at]) != napi_ok) {
      napi_throw_type_error(env, NULL, "a number is missing");
      return false;
    }
  }
  return true;
}

static napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

static sending *find(environment *owner, double id) {
  if (owner == NULL || !(id >= 0 && id < NUMBERS_END)) return NULL;
  uint64_t place = (uint64_t)id % SENDINGS_MAX;
  sending *each = place < owner->places ? owner->table[place] : NULL;
  return each != NULL && each->id == id ? each : NULL;
}

/** open(socket, file): an id, or minus an error number. */
static napi_value js_open(napi_env env, napi_callback_info info) {
  double given[2];
  if (!arguments(env, info, 2, given)) return NULL;
  environment *owner = owner_of(env);
  if (owner == NULL) return number(env, -EINVAL);
  pthread_once(&started, start_workers);
  if (start_failure != 0) return number(env, -start_failure);
  sending *each = calloc(1, sizeof *each);
  uint32_t place = each == NULL ? UINT32_MAX : find_place(owner);
  if (place == UINT32_MAX) {
    free(each);
    return number(env, -ENOMEM);
  }
  // Own descriptors: the caller's may be closed, and their numbers used again, before a worker is
  // done with them.
  each->socket = fcntl((int)given[0], F_DUPFD_CLOEXEC, 3);
  each->file = each->socket < 0 ? -1 : fcntl((int)given[1], F_DUPFD_CLOEXEC, 3);
  if (each->file < 0) {
    int failure = errno;
    if (each->socket >= 0) close(each->socket);
    free(each);
    return number(env, -failure);
  }
  each->owner = owner;
  each->worker = least_loaded();
  limit_unsent(each);
  each->id = (double)owner->opened++ * SENDINGS_MAX + place;
  owner->table[place] = each;
  pthread_mutex_lock(&owner->lock);
  owner->holders++;
  pthread_mutex_unlock(&owner->lock);
  return number(env, each->id);
}

/** send(id, position, length) */
static napi_value js_send(napi_env env, napi_callback_info info) {
  double given[3];
  if (!arguments(env, info, 3, given)) return NULL;
  sending *each = find(owner_of(env), given[0]);
  // An endless length would be neither sent nor over, and have its worker look for ever.
  bool is_range = given[1] >= 0 && given[2] > 0 && given[1] + given[2] < NUMBERS_END;
  if (each == NULL || each->busy || !is_range) {
    napi_throw_error(env, "EINVAL", "nothing can be sent by this now");
    return NULL;
  }
  each->busy = true;
  each->position = (off_t)given[1];
  each->left = (int64_t)given[2];
  order(each, false);
  return NULL;
}

/** sent(id): bytes given to the kernel so far. */
static napi_value js_sent(napi_env env, napi_callback_info info) {
  double given[1];
  if (!arguments(env, info, 1, given)) return NULL;
  sending *each = find(owner_of(env), given[0]);
  return number(env, each == NULL ? 0 : (double)atomic_load(&each->sent));
}

/** close(id): no report comes any more. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  double given[1];
  if (!arguments(env, info, 1, given)) return NULL;
  environment *owner = owner_of(env);
  sending *each = find(owner, given[0]);
  if (each == NULL) return NULL;
  owner->table[(uint64_t)given[0] % SENDINGS_MAX] = NULL;
  // Most are closed when all was sent, and need not wake anybody for it.
  if (each->busy) order(each, true);
  else shut(each);
  return NULL;
}

/**
 * limit(socket, bytes): how much may wait unsent in a socket that something else writes to; nothing
 * is kept of it. 0, or an error number.
 */
static napi_value js_limit(napi_env env, napi_callback_info info) {
  double given[2];
  if (!arguments(env, info, 2, given)) return NULL;
  int unsent = (int)given[1];
  int result = setsockopt((int)given[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
  return number(env, result == 0 ? 0 : errno);
}

/**
 * read(file, buffer, position): how many bytes of the page cache are in the buffer now, or minus an
 * error number. Never waits for a disk.
 */
static napi_value js_read(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t given = 3, length = 0;
  double file, position;
  void *bytes = NULL;
  napi_get_cb_info(env, info, &given, values, NULL, NULL);
  if (given < 3 || napi_get_value_double(env, values[0], &file) != napi_ok ||
      napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok ||
      napi_get_value_double(env, values[2], &position) != napi_ok) {
    napi_throw_type_error(env, NULL, "read takes a file, a buffer and a position");
    return NULL;
  }
  struct iovec whole = {.iov_base = bytes, .iov_len = length};
  ssize_t count = preadv2((int)file, &whole, 1, (off_t)position, RWF_NOWAIT);
  return number(env, count < 0 ? -errno : (double)count);
}

/**
 * resident(file, position, length): how many pages of these bytes are in the page cache, or minus
 * an error number. `position`: of a whole page.
 */
static napi_value js_resident(napi_env env, napi_callback_info info) {
  double given[3];
  if (!arguments(env, info, 3, given)) return NULL;
  size_t length = (size_t)given[2], page = (size_t)sysconf(_SC_PAGESIZE);
  if (length == 0) return number(env, 0);
  size_t pages = (length + page - 1) / page, found = 0;
  // Only asked about: a page that the file does not have is never touched.
  void *mapped = mmap(NULL, length, PROT_NONE, MAP_SHARED, (int)given[0], (off_t)given[1]);
  if (mapped == MAP_FAILED) return number(env, -errno);
  unsigned char *each = malloc(pages);
  int result = each == NULL ? ENOMEM : mincore(mapped, length, each) == 0 ? 0 : errno;
  for (size_t at = 0; result == 0 && at < pages; at++) found += each[at] & 1;
  free(each);
  munmap(mapped, length);
  return number(env, result == 0 ? (double)found : -result);
}

/**
 * drop(file, position, length): these bytes leave the page cache, but for what is not written yet;
 * a length of 0 is to the end. 0, or an error number.
 */
static napi_value js_drop(napi_env env, napi_callback_info info) {
  double given[3];
  if (!arguments(env, info, 3, given)) return NULL;
  int file = (int)given[0];
  return number(env, posix_fadvise(file, (off_t)given[1], (off_t)given[2], POSIX_FADV_DONTNEED));
}

/** idle(): the disk serves this thread when nobody else wants it. 0, or an error number. */
static napi_value js_idle(napi_env env, napi_callback_info info) {
  (void)info;
  // ioprio_set(IOPRIO_WHO_PROCESS, this thread, IOPRIO_CLASS_IDLE): no header says their names.
  long result = syscall(SYS_ioprio_set, 1, 0, 3 << 13);
  return number(env, result == 0 ? 0 : errno);
}

/** Takes the reports: in the environment's own thread. */
static void take_reports(napi_env env, napi_value unused, void *context, void *data) {
  (void)unused;
  (void)data;
  environment *owner = context;
  if (env == NULL) return;
  pthread_mutex_lock(&owner->lock);
  sending *each = owner->reports;
  owner->reports = NULL;
  pthread_mutex_unlock(&owner->lock);
  while (each != NULL) {
    sending *next = each->next_report;
    double id = each->id;
    int failure = each->failure;
    // Before JavaScript is told, which may send or close at once.
    pthread_mutex_lock(&owner->lock);
    each->reported = false;
    bool closed = each->closed;
    pthread_mutex_unlock(&owner->lock);
    if (closed) {
      free_sending(each);
    } else if (find(owner, id) == each) {
      each->busy = false;
      napi_handle_scope scope;
      napi_open_handle_scope(env, &scope);
      napi_value done, self, values[2] = {number(env, id), number(env, failure)};
      napi_get_reference_value(env, owner->done, &done);
      napi_get_undefined(env, &self);
      napi_call_function(env, self, done, 2, values, NULL);
      napi_close_handle_scope(env, scope);
    }
    each = next;
  }
}

/** The environment ends, and nothing waits for the workers: one of them may be stuck in a disk. */
static void leave(void *data) {
  environment *owner = data;
  pthread_mutex_lock(&owner->lock);
  owner->gone = true;
  sending *each = owner->reports;
  owner->reports = NULL;
  pthread_mutex_unlock(&owner->lock);
  while (each != NULL) {
    sending *next = each->next_report;
    pthread_mutex_lock(&owner->lock);
    each->reported = false;
    bool closed = each->closed;
    pthread_mutex_unlock(&owner->lock);
    if (closed) free_sending(each);
    each = next;
  }
  napi_release_threadsafe_function(owner->wake, napi_tsfn_abort);
  for (uint32_t place = 0; place < owner->places; place++) {
    if (owner->table[place] != NULL) order(owner->table[place], true);
  }
  let_go(owner);
}

/**
 * start(done): once per environment; `done(id, errorNumber)` is called for each send that ended by
 * itself.
 */
static napi_value js_start(napi_env env, napi_callback_info info) {
  size_t given = 1;
  napi_value done, name;
  napi_get_cb_info(env, info, &given, &done, NULL, NULL);
  napi_valuetype type = napi_undefined;
  if (given == 1) napi_typeof(env, done, &type);
  if (type != napi_function || owner_of(env) != NULL) {
    napi_throw_error(env, "EINVAL", "start takes a function, once");
    return NULL;
  }
  environment *owner = calloc(1, sizeof *owner);
  if (owner == NULL) {
    napi_throw_error(env, "ENOMEM", "no memory");
    return NULL;
  }
  owner->holders = 1;
  pthread_mutex_init(&owner->lock, NULL);
  napi_create_string_utf8(env, "sender", NAPI_AUTO_LENGTH, &name);
  if (napi_create_reference(env, done, 1, &owner->done) != napi_ok ||
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, owner, take_reports,
                                      &owner->wake) != napi_ok) {
    let_go(owner);
    napi_throw_error(env, NULL, "the threads cannot be heard");
    return NULL;
  }
  // It is the connections that keep a process alive.
  napi_unref_threadsafe_function(env, owner->wake);
  napi_set_instance_data(env, owner, NULL, NULL);
  napi_add_env_cleanup_hook(env, leave, owner);
  return NULL;
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback call;
  } functions[] = {{"start", js_start}, {"open", js_open},   {"send", js_send},
                   {"sent", js_sent},   {"close", js_close}, {"limit", js_limit},
                   {"read", js_read},   {"resident", js_resident},
                   {"drop", js_drop},   {"idle", js_idle}};
  for (size_t at = 0; at < sizeof functions / sizeof *functions; at++) {
    napi_value function;
    napi_create_function(env, functions[at].name, NAPI_AUTO_LENGTH, functions[at].call, NULL,
                         &function);
    napi_set_named_property(env, exports, functions[at].name, function);
  }
  return exports;
}
