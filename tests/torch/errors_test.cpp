// Tests of the messages for LibTorch's errors.
#include "tests/common/error_of.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {
namespace {

TEST_CASE("a long text keeps its beginning and its end") {
  const std::string text = "begin" + std::string(5000, '.') + "end\n\n";
  const std::string cut = shortened(text);
  CHECK(cut.size() < 1100);
  CHECK(cut.starts_with("begin"));
  CHECK(cut.ends_with("end"));
  CHECK(test::contains(cut, "\n[...]\n"));
  CHECK(shortened(" short \n") == "short");
  CHECK(shortened(" \n").empty());
}

TEST_CASE("what LibTorch throws becomes an error with a reason and a hint") {
  const auto error = test::error_of(
      [] { explained(ErrorKind::failed, "it broke", "fix it", [] { return at::ones({3}) + at::ones({4}); }); });
  REQUIRE(error);
  CHECK(error->message() == "it broke");
  CHECK(error->hint() == "fix it");
  CHECK(error->detail() == "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0");
}

TEST_CASE("memory that LibTorch cannot get is reported with the reason and what to lower") {
  const auto on_cpu = test::error_of(
      [] { explained(ErrorKind::usage, "it broke", "fix it", [] { return at::empty({std::int64_t{1} << 46}); }); });
  REQUIRE(on_cpu);
  CHECK(on_cpu->kind() == ErrorKind::failed);
  CHECK(on_cpu->message() == "out of memory");
  CHECK(on_cpu->detail().starts_with("it broke ("));
  CHECK(test::contains(on_cpu->detail(), "281474976710656 bytes"));
  CHECK(test::contains(on_cpu->hint(), "fewer members"));
  const auto on_gpu = test::error_of([] {
    explained(ErrorKind::usage, "it broke", "fix it", [] {
      throw c10::OutOfMemoryError({__func__, __FILE__, 0}, "CUDA out of memory");
    });
  });
  REQUIRE(on_gpu);
  CHECK(on_gpu->message() == "out of memory");
  CHECK(on_gpu->detail() == "it broke (CUDA out of memory)");
  // Not by LibTorch's allocator: when the process makes its context, and by a library.
  for (const char* const reason :
       {"CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"}) {
    const auto of_cuda = test::error_of([&] {
      explained(ErrorKind::usage, "it broke", "fix it", [&] { throw c10::Error({__func__, __FILE__, 0}, reason); });
    });
    REQUIRE(of_cuda);
    CHECK(of_cuda->kind() == ErrorKind::failed);
    CHECK(of_cuda->message() == "out of memory");
  }
  const auto of_cpp =
      test::error_of([] { explained(ErrorKind::usage, "it broke", "", [] { throw std::bad_alloc(); }); });
  REQUIRE(of_cpp);
  CHECK(of_cpp->message() == "out of memory");
}

TEST_CASE("an error of Tutti passes unchanged") {
  const auto error = test::error_of([] {
    explained(ErrorKind::failed, "outer", "", [] { throw Error(ErrorKind::usage, "inner", "detail", "hint"); });
  });
  REQUIRE(error);
  CHECK(error->message() == "inner");
  CHECK(error->kind() == ErrorKind::usage);
}

}  // namespace
}  // namespace tutti::worker
