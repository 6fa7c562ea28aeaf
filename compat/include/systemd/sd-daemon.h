/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef SD_DAEMON_H
#define SD_DAEMON_H

/*
 * The functions of libsystemd's header of the same name, without libsystemd: the same names, arguments and results.
 * Written from scratch for libsd-daemon, on the code of sd-listen-fds. For C89 and later, and C++.
 *
 * A function that fails returns the negated errno and leaves everything unchanged that its comment does not mention.
 * All functions are thread-safe. With `unset_environment`, they write to the environment, which is as unsafe as
 * unsetenv(3) while other threads read it.
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

/**
 * The severity levels of syslog(3). The journal recognizes them at the start of a line on standard error.
 * @see sd-daemon(3)
 */
#define SD_EMERG "<0>"
#define SD_ALERT "<1>"
#define SD_CRIT "<2>"
#define SD_ERR "<3>"
#define SD_WARNING "<4>"
#define SD_NOTICE "<5>"
#define SD_INFO "<6>"
#define SD_DEBUG "<7>"

/** The number of the first descriptor that was passed. */
#define SD_LISTEN_FDS_START 3

/**
 * Returns how many descriptors were passed to this process, from SD_LISTEN_FDS_START on, and sets FD_CLOEXEC on all of
 * them. Returns the same number on each call, unless `unset_environment` removes the variables.
 *
 * @par Errors
 * -EINVAL or -ERANGE if a variable that is meant for this process is malformed, if LISTEN_FDS is 0, or if
 * LISTEN_FDS_FIRST_FD is not SD_LISTEN_FDS_START. -EBADF if a descriptor is not open. On an error nothing is marked
 * or unset.
 * @threadsafety If several threads unset the environment at once, one receives the number and the others receive 0.
 * @see sd_listen_fds(3)
 */
int sd_listen_fds(int unset_environment);

/**
 * Does the same, and returns the names of the descriptors, verbatim.
 *
 * `*names` is set to an array of as many names as there are descriptors, and a null pointer. All names are "unknown" if
 * no names were passed. The caller frees each name and the array. `*names` is set only if the result is greater than 0.
 *
 * @par Errors
 * Those of sd_listen_fds(). -EINVAL if the number of names is not that of the descriptors. -ENOMEM.
 * @see sd_listen_fds(3)
 */
int sd_listen_fds_with_names(int unset_environment, char ***names);

/**
 * Return 1 if the descriptor matches, and 0 if it does not. A null path, a family of AF_UNSPEC, a type of 0, a negative
 * `listening` and a port of 0 match everything.
 *
 * @par Errors
 * -EBADF. -EINVAL or -EAFNOSUPPORT for an argument that cannot match anything. The errors of stat(2),
 * getsockopt(2) and getsockname(2).
 * @see sd_is_fifo(3)
 */
int sd_is_fifo(int fd, const char *path);
/** A character device, or a regular file such as those in /proc and /sys. */
int sd_is_special(int fd, const char *path);
int sd_is_socket(int fd, int family, int type, int listening);
int sd_is_socket_inet(int fd, int family, int type, int listening, uint16_t port);
int sd_is_socket_sockaddr(int fd, int type, const struct sockaddr *addr, unsigned addr_len, int listening);
/** With a length of 0, `path` is a string. Abstract names start with a NUL and need their length. */
int sd_is_socket_unix(int fd, int type, int listening, const char *path, size_t length);
/** A message queue of mq_overview(7). `path` is its name. */
int sd_is_mq(int fd, const char *path);

/**
 * Send KEY=value lines such as READY=1 to the service manager.
 *
 * Return 1 if the message was sent, and 0 if NOTIFY_SOCKET is not set. `unset_environment` removes NOTIFY_SOCKET, even
 * if the call fails. With `pid`, the message is sent as that process if the kernel permits it, and otherwise as this
 * one; 0 is this process. The caller keeps the descriptors.
 *
 * @par Errors
 * -EINVAL if `state` or `format` is null, if `fds` is null and `n_fds` is not 0, or if NOTIFY_SOCKET is
 * malformed. -E2BIG for more than 253 descriptors. -EAFNOSUPPORT. The errors of sendmsg(2).
 * @see sd_notify(3)
 */
int sd_notify(int unset_environment, const char *state);
int sd_notifyf(int unset_environment, const char *format, ...) SD_PRINTF_(2, 3);
int sd_pid_notify(pid_t pid, int unset_environment, const char *state);
int sd_pid_notifyf(pid_t pid, int unset_environment, const char *format, ...) SD_PRINTF_(3, 4);
int sd_pid_notify_with_fds(pid_t pid, int unset_environment, const char *state, const int *fds, unsigned n_fds);
int sd_pid_notifyf_with_fds(pid_t pid, int unset_environment, const int *fds, size_t n_fds, const char *format, ...)
    SD_PRINTF_(5, 6);

/**
 * Wait until the service manager has processed all messages that were sent to it before.
 *
 * Return 1 once it has, and 0 if NOTIFY_SOCKET is not set. The timeout is in microseconds; UINT64_MAX is unlimited.
 *
 * @par Errors
 * -ETIMEDOUT. Those of sd_notify().
 * @see sd_notify(3)
 */
int sd_notify_barrier(int unset_environment, uint64_t timeout);
int sd_pid_notify_barrier(pid_t pid, int unset_environment, uint64_t timeout);

/**
 * Returns 1 if the system was booted with systemd, and 0 otherwise.
 * @see sd_booted(3)
 */
int sd_booted(void);

/**
 * Returns 1 if the service manager expects WATCHDOG=1 from this process, and 0 otherwise.
 *
 * Sets `*usec` to the period in microseconds, unless `usec` is null. Send WATCHDOG=1 twice as often.
 * `unset_environment` removes WATCHDOG_USEC and WATCHDOG_PID, even if the call fails.
 *
 * @par Errors
 * -EINVAL or -ERANGE if one of the variables is malformed.
 * @see sd_watchdog_enabled(3)
 */
int sd_watchdog_enabled(int unset_environment, uint64_t *usec);

/**
 * Returns the inode number of a pidfd, which identifies a process until the next boot: unlike a pid, the kernel never
 * reuses it. Returns 0 and sets `*ret`, unless `ret` is null.
 *
 * @par Errors
 * -EBADF if the descriptor is not open or is not a pidfd. -EOPNOTSUPP if the kernel is older than Linux 6.9, or
 * older than Linux 6.14 for a 32-bit process.
 * @see sd_pidfd_get_inode_id(3)
 */
int sd_pidfd_get_inode_id(int pidfd, uint64_t *ret);

#ifdef __cplusplus
}
#endif

#endif
