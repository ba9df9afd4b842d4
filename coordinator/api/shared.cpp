// The shared library `tutti` is the whole coordinator library with everything but the public API hidden, so that a
// program that embeds it needs neither the headers nor the versions of Boost, yaml-cpp or spdlog that Tutti uses.
