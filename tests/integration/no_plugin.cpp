// A library that is not a backend of Tutti. For tests only.
extern "C" __attribute__((visibility("default"))) int something_else() { return 1; }
