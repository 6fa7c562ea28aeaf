/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program of a user of the library, in C89. It prints the number of descriptors that it was passed, and their names.
 * `consumer maps` then prints its memory mappings.
 */

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

/* Every function with the type that the manual declares. */
struct functions {
  int (*listen_fds)(int);
  int (*listen_fds_with_names)(int, char ***);
  int (*is_fifo)(int, const char *);
  int (*is_special)(int, const char *);
  int (*is_socket)(int, int, int, int);
  int (*is_socket_inet)(int, int, int, int, uint16_t);
  int (*is_socket_sockaddr)(int, int, const struct sockaddr *, unsigned, int);
  int (*is_socket_unix)(int, int, int, const char *, size_t);
  int (*is_mq)(int, const char *);
  int (*notify)(int, const char *);
  int (*notifyf)(int, const char *, ...);
  int (*pid_notify)(pid_t, int, const char *);
  int (*pid_notifyf)(pid_t, int, const char *, ...);
  int (*pid_notify_with_fds)(pid_t, int, const char *, const int *, unsigned);
  int (*notify_barrier)(int, uint64_t);
  int (*booted)(void);
  int (*watchdog_enabled)(int, uint64_t *);
#if !defined(LIBSYSTEMD) || LIBSYSTEMD >= 254
  int (*pid_notifyf_with_fds)(pid_t, int, const int *, size_t, const char *, ...);
  int (*pid_notify_barrier)(pid_t, int, uint64_t);
#endif
#if !defined(LIBSYSTEMD) || LIBSYSTEMD >= 258
  int (*pidfd_get_inode_id)(int, uint64_t *);
#endif
};
extern const struct functions functions; /* external, so that C++ does not drop it */
const struct functions functions = {
    sd_listen_fds,
    sd_listen_fds_with_names,
    sd_is_fifo,
    sd_is_special,
    sd_is_socket,
    sd_is_socket_inet,
    sd_is_socket_sockaddr,
    sd_is_socket_unix,
    sd_is_mq,
    sd_notify,
    sd_notifyf,
    sd_pid_notify,
    sd_pid_notifyf,
    sd_pid_notify_with_fds,
    sd_notify_barrier,
    sd_booted,
    sd_watchdog_enabled,
#if !defined(LIBSYSTEMD) || LIBSYSTEMD >= 254
    sd_pid_notifyf_with_fds,
    sd_pid_notify_barrier,
#endif
#if !defined(LIBSYSTEMD) || LIBSYSTEMD >= 258
    sd_pidfd_get_inode_id,
#endif
};

static void print_maps(void) {
  char line[4096];
  FILE *const maps = fopen("/proc/self/maps", "r");
  if (!maps) exit(1);
  while (fgets(line, (int)sizeof line, maps)) fputs(line, stdout);
  fclose(maps);
}

int main(int argc, char **argv) {
  char **names;
  const int count = functions.listen_fds_with_names(1, &names);
  int i;
  (void)argv;
  printf("%d", count);
  for (i = 0; i < count; ++i) {
    printf(" %s", names[i]);
    free(names[i]);
  }
  if (count > 0) free(names);
  printf("\n");
  if (functions.listen_fds(0) != 0) return 1; /* the variables are unset */
  if (functions.notifyf(0, SD_NOTICE "%d" SD_DEBUG, SD_LISTEN_FDS_START) != 0) return 1;
  if (argc > 1) print_maps();
  return 0;
}
