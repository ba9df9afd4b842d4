// A library that is not a recorder. For tests only.

extern "C" __attribute__((visibility("default"))) int tutti_something_else() { return 1; }
