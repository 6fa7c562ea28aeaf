// A program without the library, with which consumer.size compares.

int main() { return 0; }
