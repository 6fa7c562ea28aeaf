namespace cpp hello

service greeter {
  string greet()
}
