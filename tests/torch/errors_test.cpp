// Tests of the messages for LibTorch's errors.
#include <array>

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

TEST_CASE("of a message about a missing kernel the reason stays and the list of kernels goes") {
  const std::string text =
      "Could not run 'aten::empty.memory_format' with arguments from the 'CUDA' backend. This could be because the "
      "operator doesn't exist for this backend, or was omitted during the build. 'aten::empty' is only available for "
      "these backends: [CPU, Meta].\n\nCPU: registered at RegisterCPU.cpp:31 [kernel]\n"
      "Meta: registered at RegisterMeta.cpp:26 [kernel]\nAutograd: fallthrough registered at Fallback.cpp:3 [backend "
      "fallback]\n";
  CHECK(reason_in(text) == "Could not run 'aten::empty.memory_format' with arguments from the 'CUDA' backend.");
}

TEST_CASE("of a traceback of TorchScript the last line comes first and then the place in the model") {
  const std::string traceback =
      "The following operation failed in the TorchScript interpreter.\n"
      "Traceback of TorchScript, serialized code (most recent call last):\n"
      "  File \"code/__torch__/net.py\", line 8, in forward\n    return torch.linear(x, self.weight)\n"
      "           ~~~~~~~~~~~~ <--- HERE\n\n"
      "Traceback of TorchScript, original code (most recent call last):\n"
      "  File \"/net/net.py\", line 7, in forward\n        return self.l(x)\n"
      "/lib/torch/nn/modules/linear.py(125): forward\n"
      "  File \"/lib/torch/nn/functional.py\", line 25, in linear\n"
      "  File \"/x/tutti/export/sources.py\", line 3, in forward\n"
      "RuntimeError: mat1 and mat2 must have the same dtype, but got Float and Half\n";
  CHECK(reason_in(traceback) ==
        "RuntimeError: mat1 and mat2 must have the same dtype, but got Float and Half (/net/net.py, line 7, in "
        "forward)");
  const std::string traced =
      "Traceback of TorchScript, original code (most recent call last):\n"
      "/lib/torch/nn/modules/linear.py(134): forward\n/net/net.py(9): forward\n/net/all.py(3): forward\n"
      "/x/tutti/export/formats.py(30): write_torchscript\n/net/main.py(1): <module>\nRuntimeError: too (large): "
      "3\n";
  CHECK(reason_in(traced) == "RuntimeError: too (large): 3 (/net/net.py, line 9, in forward)");
  CHECK(reason_in("Traceback of TorchScript, original code:\n  somewhere\nwithout a type") == "without a type");
}

TEST_CASE("what is wrong with the model itself gets a hint about it and is not a failure of the machine") {
  const auto fault = [](const char* reason) {
    const auto error = test::error_of([&] {
      explained(ErrorKind::failed, "it broke", "fix it", [&] { throw c10::Error({__func__, __FILE__, 0}, reason); });
    });
    REQUIRE(error);
    CHECK((error->kind() == ErrorKind::usage) == (error->hint() != "fix it"));
    return error->hint();
  };
  for (const char* const reason :
       {"Could not run 'aten::empty' with arguments from the 'CUDA' backend.",
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
        "Input type (CPUFloatType) and weight type (CUDAFloatType) should be the same",
        "PyTorch is not linked with support for cuda devices", "Torch not compiled with CUDA enabled"})
    CHECK(test::contains(fault(reason), "x.device"));
  for (const char* const reason :
       {"mat1 and mat2 must have the same dtype, but got Float and Half",
        "expected m1 and m2 to have the same dtype, but got: float != c10::BFloat16",
        "Input type (float) and bias type (c10::Half) should be the same", "expected scalar type Float but found Half",
        "\"slow_conv2d_cpu\" not implemented for 'Half'"})
    CHECK(test::contains(fault(reason), "model.float()"));
  CHECK(test::contains(fault("Expected more than 1 value per channel when training, got input size [1, 4]"),
                       "model.eval()"));
  CHECK(fault("mat1 and mat2 shapes cannot be multiplied (8x3072 and 192x5)") == "fix it");
}

TEST_CASE("a batch that is built into a model is read from the sizes that do not fit") {
  CHECK(misfit_hint("shape '[8, 3072]' is invalid for input of size 12288", 4) ==
        "the model seems to fix its batch at 8: export it with a free batch");
  CHECK(test::contains(misfit_hint("shape '[8, -1]' is invalid for input of size 300", 4), "its batch at 8"));
  CHECK(test::contains(misfit_hint("shape '[8, 3, 1024]' is invalid for input of size 12288", 4), "its batch at 8"));
  CHECK(test::contains(misfit_hint("mat1 and mat2 shapes cannot be multiplied (8x1536 and 3072x10)", 4), "at 8"));
  CHECK(test::contains(misfit_hint("Sizes of tensors must match except in dimension 1. Expected size 8 but got size 4 "
                                   "for tensor number 1 in the list.",
                                   4),
                       "at 8"));
  // Pictures of another size.
  CHECK(misfit_hint("shape '[4, 400]' is invalid for input of size 12544", 4).empty());
  CHECK(misfit_hint("shape '[400, 10]' is invalid for input of size 12544", 4).empty());
  CHECK(misfit_hint("mat1 and mat2 shapes cannot be multiplied (4x1536 and 3072x10)", 4).empty());
  CHECK(misfit_hint("mat1 and mat2 shapes cannot be multiplied (128x32 and 3072x10)", 4).empty());
  CHECK(misfit_hint("mat1 and mat2 shapes cannot be multiplied (384x32 and 3072x10)", 4).empty());  // not flattened
  CHECK(misfit_hint("Expected size 7 but got size 9 for tensor number 1 in the list.", 4).empty());
}

TEST_CASE("sizes whose last is that of channels get a hint about the layout") {
  constexpr std::array<std::uint32_t, 3> kLast{32, 32, 3};
  constexpr std::array<std::uint32_t, 3> kFirst{3, 32, 3};
  constexpr std::array<std::uint32_t, 2> kTwo{32, 3};
  CHECK(layout_hint(kLast) ==
        "the images are 32x32x3: if the last axis is the channels, add 'layout: nhwc' to 'input'");
  CHECK(layout_hint(kFirst).empty());
  CHECK(layout_hint(kTwo).empty());
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

// LibTorch gives the same reason if a model names a device in its code.
TEST_CASE("a GPU that cannot be used is the machine's fault and has one message") {
  const std::string reason = "Found no NVIDIA driver on your system.";
  REQUIRE_FALSE(fault_of_model(reason).empty());
  const auto error = test::error_of([&] { gpu_explained([&] { throw std::runtime_error(reason); }); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "there is no usable GPU");
  CHECK(error->detail() == reason);
  CHECK(error->hint() == "see 'nvidia-smi' and CUDA_VISIBLE_DEVICES, or assign cpu instead");
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
