// A recorder of another build. For tests only.
#include <tutti/error.hpp>

#include "bench/single/recording.hpp"

extern "C" TUTTI_API const tutti::bench::RecorderPlugin* tutti_recorder() {
  static const tutti::bench::RecorderPlugin plugin{"0.0.0-anotherbuild", nullptr};
  return &plugin;
}
