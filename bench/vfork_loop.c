/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* vfork_loop PORT PROGRAM: starts a program for each connection with as few system calls as possible, the ceiling for
   what servers can reach that do so.
   vfork_loop hold PORT PROGRAM [ARG]: passes the listening socket to the program instead, which is started by a client,
   and at once if it was killed.
   vfork_loop restart PROGRAM [ARG]: starts the program whenever it has exited. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char* const environment[] = {NULL};

static void serve_each_connection(int listener, char** program) {
  char* const arguments[] = {program[0], NULL};
  for (;;) {
    const int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    if (vfork() == 0) {
      dup2(connection, STDIN_FILENO);
      dup2(connection, STDOUT_FILENO);
      execve(program[0], arguments, environment);
      _exit(127);
    }
    close(connection);
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
  }
}

static void keep_running(int listener, char** program) {
  struct pollfd client = {.fd = listener, .events = POLLIN};
  int status = 0;
  for (;;) {
    if (listener >= 0 && !WIFSIGNALED(status)) poll(&client, 1, -1);
    const pid_t pid = vfork();
    if (pid == 0) {
      if (listener >= 0) dup2(listener, 3);
      execve(program[0], program, environment);
      _exit(127);
    }
    waitpid(pid, &status, 0);
  }
}

static int listen_on(const char* port) {
  const int yes = 1;
  const int fd = fcntl(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), F_DUPFD_CLOEXEC, 4); /* which is not 3 */
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr*)&where, sizeof where) < 0 || listen(fd, 4096) < 0) exit(1);
  return fd;
}

int main(int argc, char** argv) {
  if (argc > 2 && strcmp(argv[1], "restart") == 0) keep_running(-1, argv + 2);
  if (argc > 3 && strcmp(argv[1], "hold") == 0) keep_running(listen_on(argv[2]), argv + 3);
  if (argc != 3) return 2;
  serve_each_connection(listen_on(argv[1]), argv + 2);
}
