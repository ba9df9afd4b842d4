// Members whose kind only a CPU computes: where they go if nobody says it, and what is said if they are to be on a GPU.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "config/load.hpp"
#include "coordinator/plan/plan.hpp"
#include "tests/common/error_of.hpp"
#include "tests/coordinator/plan/plans.hpp"

namespace tutti::test {
namespace {

Plan plan_with(const std::string& model, const std::string& device) {
  const auto spec =
      config::load_text("members: [{name: m0, model: " + model + "}]\nassignment: " + device + "\n", "test", {});
  return make_plan(spec, with_gpus(machine_of(2)), {{3, 32, 32}, {}}, {});
}

std::string device_with(const std::string& model, const std::string& device) {
  return plan_with(model, device).workers.front().device;
}

TEST_CASE("what only a CPU computes is not given a GPU and is refused if it is asked for one") {
  const Plan plan = plan_with("{kind: onnx, path: m.onnx}", "null");
  CHECK(plan.workers.front().device == "cpu");
  CHECK(plan.notes ==
        std::vector<std::string>{"m0 runs on the CPU, because 'assignment' gives it no device, and members of kind "
                                 "'onnx' run on the CPU only"});
  CHECK(device_with("{kind: openvino, path: m.onnx}", "auto") == "cpu");
  CHECK(device_with("{kind: aoti, path: m.pt2}", "null") == "cpu");
  CHECK(device_with("{kind: torchscript, path: m.pt}", "null") == "cuda:0 (H200)");
  const auto error = error_of([] { plan_with("{kind: aoti, path: m.pt2}", "cuda:1"); });
  REQUIRE(error);
  CHECK(error->message() == "m0: members of kind 'aoti' run on the CPU only, not on cuda:1");
}

TEST_CASE("networks that another library computes run on the CPU") {
  CHECK(device_with("{kind: small-cnn}", "null") == "cuda:0 (H200)");
  CHECK(device_with("{kind: small-cnn, backend: openvino}", "null") == "cpu");
  const auto error = error_of([] { plan_with("{kind: small-cnn, backend: openvino}", "cuda:0"); });
  REQUIRE(error);
  CHECK(error->message() == "m0: members with 'backend: openvino' run on the CPU only, not on cuda:0");
}

}  // namespace
}  // namespace tutti::test
