/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef SD_DAEMON_H
#define SD_DAEMON_H

/**
 * @file
 * Provides the functions of libsystemd's header of the same name, without libsystemd.
 *
 * The names, the arguments and the results are the same. Written from scratch for libsd-daemon, on the code of
 * sd-listen-fds. For C89 and later, and C++. Link with libsd-daemon.
 *
 * @par Errors
 * A function that fails returns the negated errno, and changes nothing unless its description says so.
 * @threadsafety All functions are thread-safe. With `unset_environment`, they write to the environment, which is as
 *               unsafe as unsetenv(3) while other threads read it.
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
 * @name Severity levels of log lines
 * The severity levels of syslog(3). The journal recognizes them at the start of a line on standard error.
 * @see sd-daemon(3)
 * @{
 */
#define SD_EMERG "<0>"   /**< The system is unusable. */
#define SD_ALERT "<1>"   /**< Action must be taken immediately. */
#define SD_CRIT "<2>"    /**< A critical condition. */
#define SD_ERR "<3>"     /**< An error. */
#define SD_WARNING "<4>" /**< A warning. */
#define SD_NOTICE "<5>"  /**< A normal but significant condition. */
#define SD_INFO "<6>"    /**< An informational message. */
#define SD_DEBUG "<7>"   /**< A debugging message. */

/** @} */

/**
 * @name Descriptors passed by the service manager
 * @{
 */
/** The number of the first descriptor that was passed. */
#define SD_LISTEN_FDS_START 3

/**
 * Returns how many descriptors were passed to this process, from SD_LISTEN_FDS_START on, and sets FD_CLOEXEC on all of
 * them.
 *
 * @param unset_environment Whether to remove the variables from the environment. If so, the next call returns 0;
 *                          otherwise, it returns the same number again.
 * @returns The number of descriptors. 0 if none were passed to this process.
 * @par Errors
 * -EINVAL or -ERANGE if a variable that is meant for this process is malformed, if LISTEN_FDS is 0, or if
 * LISTEN_FDS_FIRST_FD is not SD_LISTEN_FDS_START. -EBADF if a descriptor is not open. On an error nothing is marked
 * or unset.
 * @threadsafety If several threads unset the environment at once, one receives the number and the others receive 0.
 * @see sd_listen_fds(3)
 */
int sd_listen_fds(int unset_environment);

/**
 * Does what sd_listen_fds() does, and returns the names of the descriptors, verbatim.
 *
 * @param unset_environment As for sd_listen_fds().
 * @param names             Is set to an array of as many names as there are descriptors, and a null pointer, but only
 * if the result is greater than 0. All names are "unknown" if no names were passed. The caller frees each name and the
 * array.
 * @returns As sd_listen_fds().
 * @par Errors
 * Those of sd_listen_fds(). -EINVAL if the number of names is not that of the descriptors. -ENOMEM.
 * @see sd_listen_fds(3)
 */
int sd_listen_fds_with_names(int unset_environment, char ***names);
/** @} */

/**
 * @name Checks of descriptors
 * @{
 */
/**
 * Returns whether a descriptor is a fifo or a pipe.
 *
 * @param fd   The descriptor.
 * @param path The path that the fifo must have. Null for any.
 * @returns 1 if the descriptor matches, 0 if it does not.
 * @par Errors
 * -EBADF if the descriptor is not open. The errors of stat(2) for the path, except that 0 is returned if nothing is
 * there.
 * @see sd_is_fifo(3)
 */
int sd_is_fifo(int fd, const char *path);
/**
 * Returns whether a descriptor is a character device, or a regular file such as those in /proc and /sys.
 *
 * @param fd   The descriptor.
 * @param path The path that the file must have. Null for any.
 * @returns 1 if the descriptor matches, 0 if it does not.
 * @par Errors
 * -EBADF if the descriptor is not open. The errors of stat(2) for the path, except that 0 is returned if nothing is
 * there.
 * @see sd_is_fifo(3)
 */
int sd_is_special(int fd, const char *path);
/**
 * Returns whether a descriptor is a socket.
 *
 * @param fd        The descriptor.
 * @param family    The family that the socket must have. AF_UNSPEC for any.
 * @param type      The type that the socket must have, such as SOCK_STREAM. 0 for any.
 * @param listening 1 if the socket must be listening, 0 if it must not be. A negative number for either.
 * @returns 1 if the descriptor matches, 0 if it does not.
 * @par Errors
 * -EBADF if the descriptor is not open. -EINVAL if the family or the type is negative. The errors of getsockopt(2).
 * @see sd_is_fifo(3)
 */
int sd_is_socket(int fd, int family, int type, int listening);
/**
 * Returns whether a descriptor is an internet socket.
 *
 * @param fd        The descriptor.
 * @param family    AF_INET, AF_INET6, or AF_UNSPEC for either.
 * @param type      As for sd_is_socket().
 * @param listening As for sd_is_socket().
 * @param port      The port that the socket must be bound to. 0 for any.
 * @returns 1 if the descriptor matches, 0 if it does not.
 * @par Errors
 * -EBADF if the descriptor is not open. -EINVAL for another family or a negative type. The errors of getsockopt(2)
 * and getsockname(2).
 * @see sd_is_fifo(3)
 */
int sd_is_socket_inet(int fd, int family, int type, int listening, uint16_t port);
/**
 * Returns whether a descriptor is a socket that is bound to an address.
 *
 * @param fd        The descriptor.
 * @param type      As for sd_is_socket().
 * @param addr      The address, of AF_INET or AF_INET6. A port, scope or flow label of 0 matches any.
 * @param addr_len  The size of the address.
 * @param listening As for sd_is_socket().
 * @returns 1 if the descriptor matches, 0 if it does not.
 * @par Errors
 * -EBADF if the descriptor is not open. -EINVAL if the address is null or shorter than its family requires, or if
 * the type is negative. -ENOBUFS if it is shorter than a family. -EPFNOSUPPORT for another family. The errors of
 * getsockopt(2) and getsockname(2).
 * @see sd_is_fifo(3)
 */
int sd_is_socket_sockaddr(int fd, int type, const struct sockaddr *addr, unsigned addr_len, int listening);
/**
 * Returns whether a descriptor is a unix socket.
 *
 * @param fd        The descriptor.
 * @param type      As for sd_is_socket().
 * @param listening As for sd_is_socket().
 * @param path      The name that the socket must be bound to. Null for any.
 * @param length    The length of the name. With 0, `path` is a string. Abstract names start with a NUL and need their
 *                  length.
 * @returns 1 if the descriptor matches, 0 if it does not.
 * @par Errors
 * -EBADF if the descriptor is not open. -EINVAL if the type is negative. The errors of getsockopt(2) and
 * getsockname(2).
 * @see sd_is_fifo(3)
 */
int sd_is_socket_unix(int fd, int type, int listening, const char *path, size_t length);
/**
 * Returns whether a descriptor is a message queue of mq_overview(7).
 *
 * @param fd   The descriptor.
 * @param path The name of the queue, such as "/name". Null for any.
 * @returns 1 if the descriptor matches, 0 if it does not.
 * @par Errors
 * -EBADF if the descriptor is not open. -EINVAL if the name does not start with a slash. -ENAMETOOLONG.
 * @see sd_is_fifo(3)
 */
int sd_is_mq(int fd, const char *path);
/** @} */

/**
 * @name Messages to the service manager
 * @{
 */
/**
 * Sends KEY=value lines such as READY=1 to the service manager.
 *
 * @param unset_environment Whether to remove NOTIFY_SOCKET from the environment, even if the call fails.
 * @param state             The lines.
 * @returns 1 if the message was sent, 0 if NOTIFY_SOCKET is not set.
 * @par Errors
 * -EINVAL if `state` is null or NOTIFY_SOCKET is malformed. -E2BIG if NOTIFY_SOCKET is too long. -EAFNOSUPPORT if it
 * is an address of another family. The errors of sendmsg(2).
 * @see sd_notify(3)
 */
int sd_notify(int unset_environment, const char *state);
/**
 * Does what sd_notify() does, with a format and its arguments, as for printf(3).
 *
 * @param unset_environment As for sd_notify().
 * @param format            The format of the lines.
 * @returns As sd_notify().
 * @par Errors
 * Those of sd_notify(). -EINVAL if `format` is null. -ENOMEM.
 */
int sd_notifyf(int unset_environment, const char *format, ...) SD_PRINTF_(2, 3);
/**
 * Does what sd_notify() does, on behalf of a process.
 *
 * @param pid               The process to send the message as, if the kernel permits it. Otherwise, and with 0, the
 *                          message is sent as this process.
 * @param unset_environment As for sd_notify().
 * @param state             The lines.
 * @returns As sd_notify().
 * @par Errors
 * Those of sd_notify().
 */
int sd_pid_notify(pid_t pid, int unset_environment, const char *state);
/**
 * Does what sd_pid_notify() does, with a format and its arguments, as for printf(3).
 *
 * @param pid               As for sd_pid_notify().
 * @param unset_environment As for sd_notify().
 * @param format            The format of the lines.
 * @returns As sd_notify().
 * @par Errors
 * Those of sd_notifyf().
 */
int sd_pid_notifyf(pid_t pid, int unset_environment, const char *format, ...) SD_PRINTF_(3, 4);
/**
 * Does what sd_pid_notify() does, and attaches descriptors to the message.
 *
 * @param pid               As for sd_pid_notify().
 * @param unset_environment As for sd_notify().
 * @param state             The lines.
 * @param fds               The descriptors. The caller keeps its own.
 * @param n_fds             The number of descriptors.
 * @returns As sd_notify().
 * @par Errors
 * Those of sd_notify(). -EINVAL if `fds` is null and `n_fds` is not 0. -E2BIG for more than 253 descriptors.
 */
int sd_pid_notify_with_fds(pid_t pid, int unset_environment, const char *state, const int *fds, unsigned n_fds);
/**
 * Does what sd_pid_notify_with_fds() does, with a format and its arguments, as for printf(3).
 *
 * @param pid               As for sd_pid_notify().
 * @param unset_environment As for sd_notify().
 * @param fds               The descriptors. The caller keeps its own.
 * @param n_fds             The number of descriptors.
 * @param format            The format of the lines.
 * @returns As sd_notify().
 * @par Errors
 * Those of sd_notifyf() and sd_pid_notify_with_fds().
 */
int sd_pid_notifyf_with_fds(pid_t pid, int unset_environment, const int *fds, size_t n_fds, const char *format, ...)
    SD_PRINTF_(5, 6);
/**
 * Waits until the service manager has processed all messages that were sent to it before.
 *
 * @param unset_environment As for sd_notify().
 * @param timeout           How long to wait, in microseconds. UINT64_MAX is unlimited.
 * @returns 1 once the messages are processed, 0 if NOTIFY_SOCKET is not set.
 * @par Errors
 * Those of sd_notify(). -ETIMEDOUT.
 * @see sd_notify(3)
 */
int sd_notify_barrier(int unset_environment, uint64_t timeout);
/**
 * Does what sd_notify_barrier() does, on behalf of a process.
 *
 * @param pid               As for sd_pid_notify().
 * @param unset_environment As for sd_notify().
 * @param timeout           As for sd_notify_barrier().
 * @returns As sd_notify_barrier().
 * @par Errors
 * Those of sd_notify_barrier().
 */
int sd_pid_notify_barrier(pid_t pid, int unset_environment, uint64_t timeout);
/** @} */

/**
 * @name Detection of systemd
 * @{
 */
/**
 * Returns whether the system was booted with systemd.
 *
 * @returns 1 if it was, 0 otherwise.
 * @par Errors
 * The errors of lstat(2), if the directory cannot be examined.
 * @see sd_booted(3)
 */
int sd_booted(void);
/** @} */

/**
 * @name Watchdog
 * @{
 */
/**
 * Returns whether the service manager expects WATCHDOG=1 from this process.
 *
 * @param unset_environment Whether to remove WATCHDOG_USEC and WATCHDOG_PID from the environment, even if the call
 *                          fails.
 * @param usec              Is set to the period in microseconds, unless it is null. Send WATCHDOG=1 twice as often.
 * @returns 1 if it does, 0 otherwise.
 * @par Errors
 * -EINVAL or -ERANGE if one of the variables is malformed.
 * @see sd_watchdog_enabled(3)
 */
int sd_watchdog_enabled(int unset_environment, uint64_t *usec);
/** @} */

/**
 * @name Inode numbers of pidfds
 * @{
 */
/**
 * Finds the inode number of a pidfd, which identifies a process until the next boot: unlike a pid, the kernel never
 * reuses it.
 *
 * @param pidfd The descriptor.
 * @param ret   Is set to the number, unless it is null.
 * @returns 0.
 * @par Errors
 * -EBADF if the descriptor is not open or is not a pidfd. -EOPNOTSUPP if the kernel is older than Linux 6.9, or
 * older than Linux 6.14 for a 32-bit process.
 * @see sd_pidfd_get_inode_id(3)
 */
int sd_pidfd_get_inode_id(int pidfd, uint64_t *ret);
/** @} */

#ifdef __cplusplus
}
#endif

#endif
