/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A minimal socket-activated service: checks the passed descriptor, reports that it is ready, and waits for a client.
 * It is built once for each library, and with FLOOR without any, to measure the cost of the C library alone.
 */

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(FLOOR)

static int listen_fds(void) { return 1; }
static int is_listener(int fd) { return fd >= 0; }
static int ready(void) {
  struct sockaddr_un address;
  const char *const path = getenv("NOTIFY_SOCKET");
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || !path || strlen(path) >= sizeof address.sun_path) return -EINVAL;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, path);
  if (sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof address) < 0) return -errno;
  close(fd);
  return 1;
}

#else

#include <systemd/sd-daemon.h>

static int listen_fds(void) { return sd_listen_fds(1); }
static int is_listener(int fd) { return sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1); }
static int ready(void) { return sd_notify(0, "READY=1"); }

#endif

int main(void) {
  struct pollfd passed;
  const int count = listen_fds();
  int client;
  if (count != 1) return 2;
  passed.fd = 3;
  passed.events = POLLIN;
  if (is_listener(passed.fd) <= 0) return 3;
  if (ready() <= 0) return 4;
  if (poll(&passed, 1, -1) != 1) return 5;
  client = accept(passed.fd, NULL, NULL);
  return client < 0 || write(client, "1", 1) != 1;
}
