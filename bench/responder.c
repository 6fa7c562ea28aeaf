/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* responder [FD]: writes a line to a connection, which is standard output by default. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char** argv) { return write(argc > 1 ? atoi(argv[1]) : STDOUT_FILENO, "hello\n", 6) == 6 ? 0 : 1; }
