/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* vfork_loop PORT PROGRAM: starts a program for each connection with as few system calls as possible, the ceiling for
   what servers can reach that do so. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr*)&where, sizeof where) < 0 || listen(listener, 4096) < 0) return 1;
  char* const arguments[] = {argv[2], NULL};
  char* const environment[] = {NULL};
  for (;;) {
    const int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    if (vfork() == 0) {
      dup2(connection, STDIN_FILENO);
      dup2(connection, STDOUT_FILENO);
      execve(argv[2], arguments, environment);
      _exit(127);
    }
    close(connection);
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
  }
}
