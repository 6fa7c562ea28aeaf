// SPDX-License-Identifier: MIT OR Apache-2.0
// A program without the library, with which consumer.size compares.

int main() { return 0; }
