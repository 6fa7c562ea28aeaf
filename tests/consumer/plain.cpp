// What consumer.size compares with: a program without the library.

int main() { return 0; }
