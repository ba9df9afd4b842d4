// Devices and core sets as users write them, and the messages about wrong ones.
#include "config/device.hpp"

#include <doctest/doctest.h>

#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

using config::AutoDevice;
using config::CpuDevice;
using config::CudaDevice;
using config::Device;
using config::parse_device;
using config::to_text;

std::string refusal(std::string_view text) {
  try {
    parse_device(text);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.message();
  }
  return {};
}

TEST_CASE("devices are read as users write them") {
  CHECK(parse_device("cpu") == Device(CpuDevice{}));
  CHECK(parse_device("cpu:3") == Device(CpuDevice{{3}}));
  CHECK(parse_device("cpu:0-3") == Device(CpuDevice{{0, 1, 2, 3}}));
  CHECK(parse_device("cpu:8,0-2,1") == Device(CpuDevice{{0, 1, 2, 8}}));
  CHECK(parse_device("cuda") == Device(CudaDevice{0, ""}));
  CHECK(parse_device("cuda:1") == Device(CudaDevice{1, ""}));
  CHECK(parse_device("cuda:GPU-1a2b-3c") == Device(CudaDevice{-1, "GPU-1a2b-3c"}));
  CHECK(parse_device("cuda:MIG-GPU-1a2b/1/0") == Device(CudaDevice{-1, "MIG-GPU-1a2b/1/0"}));
  CHECK(parse_device("2") == Device(CudaDevice{2, ""}));
  CHECK(parse_device("-1") == Device(CpuDevice{}));
  CHECK(parse_device("null") == Device(AutoDevice{}));
  CHECK(parse_device("auto") == Device(AutoDevice{}));
}

TEST_CASE("the text of a device is read back as the same device") {
  for (const char* text : {"cpu", "cpu:0", "cpu:0-3", "cpu:0,8", "cpu:0-1,3,5-8191", "cuda:0", "cuda:12", "cuda:GPU-1a",
                           "cuda:MIG-2b", "null"}) {
    CHECK(to_text(parse_device(text)) == text);
  }
  CHECK(to_text(parse_device("cpu:1,0")) == "cpu:0-1");
}

TEST_CASE("a device that LibTorch does not have is refused with that reason") {
  CHECK(refusal("tpu") == "'tpu' cannot be used: LibTorch has no such device; use cpu or cuda");
  CHECK(refusal("tpu:0") == "'tpu:0' cannot be used: LibTorch has no such device; use cpu or cuda");
}

TEST_CASE("an unknown device is refused with what to write") {
  const std::string choices = "; write cpu, cpu:0-3, cuda:0, cuda:GPU-<uuid> or null";
  CHECK(refusal("gpu:0") == "unknown device 'gpu:0'" + choices + "; did you mean 'cuda'?");
  CHECK(refusal("CPU") == "unknown device 'CPU'" + choices + "; did you mean 'cpu'?");
  CHECK(refusal("cuad:1") == "unknown device 'cuad:1'" + choices + "; did you mean 'cuda'?");
  CHECK(refusal("-2") == "unknown device '-2'" + choices);
  CHECK(refusal("") == "unknown device ''" + choices);
  CHECK(refusal("99999999999") == "unknown device '99999999999'" + choices);
}

TEST_CASE("an invalid core set is refused with the part that is wrong") {
  const auto expected = [](std::string_view whole, std::string_view part) {
    return "'" + std::string(whole) + "' is not a core set: '" + std::string(part) +
           "' is neither a core below 8192 nor a range like 0-3";
  };
  CHECK(refusal("cpu:") == expected("cpu:", ""));
  CHECK(refusal("cpu:x") == expected("cpu:x", "x"));
  CHECK(refusal("cpu:0,") == expected("cpu:0,", ""));
  CHECK(refusal("cpu:3-1") == expected("cpu:3-1", "3-1"));
  CHECK(refusal("cpu:0,-1") == expected("cpu:0,-1", "-1"));
  CHECK(refusal("cpu:1-") == expected("cpu:1-", "1-"));
  CHECK(refusal("cpu:8192") == expected("cpu:8192", "8192"));
  CHECK(refusal("cpu:99999999999") == expected("cpu:99999999999", "99999999999"));
}

TEST_CASE("an invalid CUDA device is refused with what to write") {
  for (const char* text : {"cuda:", "cuda:-1", "cuda:x", "cuda:1.5", "cuda:GPU-", "cuda:GPU-a b", "cuda:99999999999"})
    CHECK(refusal(text) ==
          "'" + std::string(text) + "' is not a CUDA device; write cuda:0, cuda:GPU-<uuid> or cuda:MIG-<uuid>");
}

}  // namespace
}  // namespace tutti::test
