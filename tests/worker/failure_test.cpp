// The words of a worker for exceptions.
#include "worker/failure.hpp"

#include <doctest/doctest.h>

#include <new>
#include <stdexcept>
#include <string_view>

#include "worker/backend_loader.hpp"
#include "worker/libtorch_command.hpp"

namespace tutti::test {
namespace {

using worker::failure_of;

TEST_CASE("an error is sent with its detail and hint and whose fault it is") {
  const auto failure = failure_of(Error(ErrorKind::usage, "it broke", "in the middle", "fix it"));
  CHECK(failure.text == "it broke: in the middle");
  CHECK(failure.hint == "fix it");
  CHECK(failure.usage);
  CHECK(failure_of(Error(ErrorKind::failed, "it broke")).text == "it broke");
  CHECK_FALSE(failure_of(Error(ErrorKind::failed, "it broke")).usage);
}

TEST_CASE("any other exception is sent with its message") {
  const auto failure = failure_of(std::runtime_error("words"));
  CHECK(failure.text == "words");
  CHECK(failure.hint.empty());
  CHECK_FALSE(failure.usage);
}

TEST_CASE("a lack of memory is reported with what to lower") {
  for (const control::Failure& failure :
       {failure_of(std::bad_alloc()), failure_of(std::bad_array_new_length()), failure_of(worker::out_of_memory({}))}) {
    CHECK(failure.text == "out of memory");
    CHECK(failure.hint ==
          "run fewer members on this machine, or lower 'batch_images', 'train.batch_images' or 'segment_images'");
    CHECK_FALSE(failure.usage);
  }
  CHECK(failure_of(worker::out_of_memory("in a batch")).text == "out of memory: in a batch");
}

TEST_CASE("a library that does not fit into memory is not taken for one of another version") {
  for (const char* reason : {"libc10.so: failed to map segment from shared object", "x.so: Cannot allocate memory"})
    CHECK(worker::library_hint(reason).find("'ulimit -v'") != std::string_view::npos);
  CHECK(worker::library_hint("undefined symbol: _ZN3c10").find("TUTTI_LIBTORCH") != std::string_view::npos);
}

TEST_CASE("a LibTorch that is not there can be got by the one command that the hint ends with") {
  const std::string command = worker::libtorch_command();
  const std::string hint =
      worker::library_hint("libtorch_cpu.so: cannot open shared object file: No such file or directory");
  CHECK(hint.ends_with(command));
  if (!command.empty()) {
    CHECK(hint.find("; or get it: pip install --target ~/libtorch") != hint.npos);
    CHECK(command.ends_with(" && export TUTTI_LIBTORCH=~/libtorch/torch"));
  }
  CHECK(worker::library_hint("undefined symbol: _ZN3c10").find("pip install") == std::string::npos);
}

}  // namespace
}  // namespace tutti::test
