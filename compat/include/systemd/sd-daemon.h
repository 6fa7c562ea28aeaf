#ifndef SD_DAEMON_H
#define SD_DAEMON_H

/*
 * The functions of libsystemd's header of the same name, without libsystemd: the same names, arguments and answers.
 * Written anew for libsd-daemon, over the code of sd-listen-fds. C89 and later, C++.
 *
 * Every function that can fail answers the negated errno then, and never touches what it was not asked to. All of them
 * may be called from any thread, but whoever asks for the environment to be unset writes to it, which is no safer here
 * than unsetenv(3) is anywhere.
 */

#include <inttypes.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define SD_PRINTF_(format, arguments) __attribute__((__format__(__printf__, format, arguments)))
#else
#define SD_PRINTF_(format, arguments)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * At the start of a line on standard error these tell the journal how grave it is: the levels of syslog(3).
 * Source:  sd-daemon(3)
 */
#define SD_EMERG "<0>"
#define SD_ALERT "<1>"
#define SD_CRIT "<2>"
#define SD_ERR "<3>"
#define SD_WARNING "<4>"
#define SD_NOTICE "<5>"
#define SD_INFO "<6>"
#define SD_DEBUG "<7>"

/* The number of the first descriptor that was passed. */
#define SD_LISTEN_FDS_START 3

/*
 * How many descriptors were passed to this process, from SD_LISTEN_FDS_START on; all FD_CLOEXEC afterwards.
 * Shape:   0 where none were; as often as it is called, unless `unset_environment` removes the four variables.
 * Errors:  -EINVAL, -ERANGE: a variable that is meant for this process is malformed, or LISTEN_FDS is 0. -EBADF: one of
 *          the descriptors is not open. On an error nothing is marked or unset.
 * Threads: of concurrent callers that unset the environment one receives the number, the others 0.
 * Source:  sd_listen_fds(3)
 */
int sd_listen_fds(int unset_environment);

/*
 * The same, and their names as the manager sent them.
 * Shape:   as many as descriptors, then a null pointer; "unknown" for all where no names were sent. The caller frees
 *          each and the array. Written only where the answer is above 0.
 * Errors:  those of sd_listen_fds(); -EINVAL: there are more or fewer names than descriptors. -ENOMEM.
 * Source:  sd_listen_fds(3)
 */
int sd_listen_fds_with_names(int unset_environment, char ***names);

/*
 * What a descriptor is: 1 if it is that, 0 if it is something else. A null path, a family of AF_UNSPEC, a type of 0, a
 * negative `listening` and a port of 0 match any.
 * Errors:  -EBADF; -EINVAL, -EAFNOSUPPORT: an argument that can match nothing; what stat(2), getsockopt(2) and
 *          getsockname(2) fail with.
 * Source:  sd_is_fifo(3)
 */
int sd_is_fifo(int fd, const char *path);
/* A character device, or a regular file as in /proc and /sys. */
int sd_is_special(int fd, const char *path);
int sd_is_socket(int fd, int family, int type, int listening);
int sd_is_socket_inet(int fd, int family, int type, int listening, uint16_t port);
int sd_is_socket_sockaddr(int fd, int type, const struct sockaddr *addr, unsigned addr_len, int listening);
/* A length of 0: that of the string. Abstract names start with a NUL and need theirs. */
int sd_is_socket_unix(int fd, int type, int listening, const char *path, size_t length);
/* A message queue of mq_overview(7); the path is its name. */
int sd_is_mq(int fd, const char *path);

/*
 * Sends lines of KEY=value to the service manager: READY=1 and the others.
 * Shape:   1 where they were sent, 0 where nobody listens. `unset_environment` removes NOTIFY_SOCKET, whatever the
 *          answer. A pid sends them in the name of another process, where the kernel permits it, else in that of this
 *          one; 0 is this one. Descriptors stay the caller's.
 * Errors:  -EINVAL: no text, or a NOTIFY_SOCKET that makes no sense. -E2BIG: more than 253 descriptors.
 *          -EAFNOSUPPORT; what sendmsg(2) fails with.
 * Source:  sd_notify(3)
 */
int sd_notify(int unset_environment, const char *state);
int sd_notifyf(int unset_environment, const char *format, ...) SD_PRINTF_(2, 3);
int sd_pid_notify(pid_t pid, int unset_environment, const char *state);
int sd_pid_notifyf(pid_t pid, int unset_environment, const char *format, ...) SD_PRINTF_(3, 4);
int sd_pid_notify_with_fds(pid_t pid, int unset_environment, const char *state, const int *fds, unsigned n_fds);
int sd_pid_notifyf_with_fds(pid_t pid, int unset_environment, const int *fds, size_t n_fds, const char *format, ...)
    SD_PRINTF_(5, 6);

/*
 * Waits until the manager has dealt with all that was sent to it before.
 * Shape:   1 once it has, 0 where nobody listens. Microseconds, at most; UINT64_MAX: however long it takes.
 * Errors:  -ETIMEDOUT; those of sd_notify().
 * Source:  sd_notify(3)
 */
int sd_notify_barrier(int unset_environment, uint64_t timeout);
int sd_pid_notify_barrier(pid_t pid, int unset_environment, uint64_t timeout);

/*
 * Whether the system runs systemd: 1 or 0.
 * Source:  sd_booted(3)
 */
int sd_booted(void);

/*
 * Whether the manager expects WATCHDOG=1 from this process: 1, with the time between two in microseconds, or 0.
 * Shape:   send it twice as often. `usec` may be null. `unset_environment` removes WATCHDOG_USEC and WATCHDOG_PID,
 *          whatever the answer.
 * Errors:  -EINVAL, -ERANGE: one of the variables is malformed.
 * Source:  sd_watchdog_enabled(3)
 */
int sd_watchdog_enabled(int unset_environment, uint64_t *usec);

#ifdef __cplusplus
}
#endif

#endif
