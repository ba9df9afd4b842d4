// A backend from another build. For tests only.
#include "worker/model.hpp"

extern "C" __attribute__((visibility("default"))) const tutti::worker::Backend* tutti_backend() {
  static const tutti::worker::Backend backend{"foreign", "0.0.0-anotherbuild", nullptr, "1"};
  return &backend;
}
