/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The first library in LD_PRELOAD. It forwards every call of sd-daemon.h, unchanged, to the next library that has the
 * function, and writes a line per call to a FIFO: the pid, the program, the function, the result, and the library that
 * returned it. It uses a FIFO with a fixed name because services lose their environment and their privileges, and see
 * most files as read-only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static int report(const char *name, void *function, int result) {
  const int error = errno;
  Dl_info library;
  const char *object = dladdr(function, &library) != 0 ? library.dli_fname : "none";
  const char *const slash = strrchr(object, '/');
  const int fd = open("/run/sd-daemon.trace", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (slash != NULL) object = slash + 1;
  if (fd >= 0) {
    /* A single write, so that the lines of several processes do not mix. */
    char line[512];
    const int length = snprintf(line, sizeof line, "%d %s %s %d %s\n", (int)getpid(), program_invocation_short_name,
                                name, result, object);
    if (length < 0 || write(fd, line, (size_t)length) != length) perror("trace");
    close(fd);
  }
  errno = error;
  return result;
}

#define FORWARD(name, parameters, arguments)               \
  int name parameters {                                    \
    int(*const next) parameters = dlsym(RTLD_NEXT, #name); \
    return report(#name, (void *)next, next arguments);    \
  }

/* Only the compiler knows the arguments of a variadic function. */
#define FORWARD_VARIADIC(name, parameters)                                               \
  int name parameters {                                                                  \
    void *const next = dlsym(RTLD_NEXT, #name);                                          \
    void *const result = __builtin_apply((void (*)())next, __builtin_apply_args(), 512); \
    return report(#name, next, *(int *)result);                                          \
  }

FORWARD(sd_listen_fds, (int unset), (unset))
FORWARD(sd_listen_fds_with_names, (int unset, char ***names), (unset, names))
FORWARD(sd_is_fifo, (int fd, const char *path), (fd, path))
FORWARD(sd_is_special, (int fd, const char *path), (fd, path))
FORWARD(sd_is_socket, (int fd, int family, int type, int listening), (fd, family, type, listening))
FORWARD(sd_is_socket_inet, (int fd, int family, int type, int listening, uint16_t port),
        (fd, family, type, listening, port))
FORWARD(sd_is_socket_sockaddr, (int fd, int type, const struct sockaddr *address, unsigned length, int listening),
        (fd, type, address, length, listening))
FORWARD(sd_is_socket_unix, (int fd, int type, int listening, const char *path, size_t length),
        (fd, type, listening, path, length))
FORWARD(sd_is_mq, (int fd, const char *path), (fd, path))
FORWARD(sd_notify, (int unset, const char *state), (unset, state))
FORWARD(sd_pid_notify, (pid_t pid, int unset, const char *state), (pid, unset, state))
FORWARD(sd_pid_notify_with_fds, (pid_t pid, int unset, const char *state, const int *fds, unsigned count),
        (pid, unset, state, fds, count))
FORWARD(sd_notify_barrier, (int unset, uint64_t timeout), (unset, timeout))
FORWARD(sd_pid_notify_barrier, (pid_t pid, int unset, uint64_t timeout), (pid, unset, timeout))
FORWARD(sd_booted, (void), ())
FORWARD(sd_watchdog_enabled, (int unset, uint64_t *usec), (unset, usec))
FORWARD_VARIADIC(sd_notifyf, (int unset, const char *format, ...))
FORWARD_VARIADIC(sd_pid_notifyf, (pid_t pid, int unset, const char *format, ...))
FORWARD_VARIADIC(sd_pid_notifyf_with_fds, (pid_t pid, int unset, const int *fds, size_t count, const char *format, ...))
