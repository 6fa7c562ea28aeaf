/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * small_server [PORT | once]: replies to each client with its process id, one client after the other. Its socket is
 * descriptor 3, unless it is given a port. With "once" it exits after the first client. On SIGTERM it exits when the
 * client that it has accepted is served.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static volatile sig_atomic_t is_stopped;

static void stop(int signal) {
  (void)signal;
  is_stopped = 1;
}

static int listen_on(int port) {
  const int yes = 1;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (const struct sockaddr*)&own, sizeof own) < 0 || listen(fd, 4096) < 0) exit(1);
  return fd;
}

static void notify_ready(void) {
  const char* const path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un manager = {.sun_family = AF_UNIX};
  if (!path || strlen(path) >= sizeof manager.sun_path) return;
  memcpy(manager.sun_path, path, strlen(path));
  if (path[0] == '@') manager.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (const struct sockaddr*)&manager, size);
  close(fd);
}

int main(int argc, char** argv) {
  const int is_once = argc > 1 && strcmp(argv[1], "once") == 0;
  const int listener = argc > 1 && !is_once ? listen_on(atoi(argv[1])) : 3;
  sigset_t blocked, unblocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &unblocked); /* SIGTERM is handled only while the server waits. */
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
  signal(SIGPIPE, SIG_IGN);
  fcntl(listener, F_SETFL, O_NONBLOCK); /* During a restart, two processes may wait for the same client. */
  notify_ready();
  while (!is_stopped) {
    char request[16];
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    if (ppoll(&waiting, 1, NULL, &unblocked) <= 0) continue;
    const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (read(client, request, sizeof request) > 0) dprintf(client, "%d\n", (int)getpid());
    close(client);
    if (is_once) break;
  }
  return 0;
}
