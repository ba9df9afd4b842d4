// Tests of the strategies of tutti-bench-single on a GPU; skipped if there is none that can be used. A case asks for
// CUDA before it computes anything: LibTorch decides for good whether there is CUDA when it is first asked.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <tutti/error.hpp>

#include "bench/single/torch/device.hpp"
#include "common/program_folder.hpp"
#include "common/wire/spawn_contract.hpp"
#include "tests/bench/recorded_ensembles.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::bench {
namespace {

using test::error_of;
using namespace recorded;  // NOLINT: a header of these tests

constexpr float kGpuTolerance = 1e-4F;

bool gpu_is_usable() {
  const auto error = error_of(require_cuda);
  if (error) fmt::print("SKIPPED: no usable GPU: {}\n", error->detail());
  return !error;
}

// Where all of CUDA's libraries are it must open, elsewhere it cannot.
TEST_CASE("the recorder of CUDA graphs is one where it can be opened") {
  REQUIRE_FALSE(find_plugin(program_folder(), kCudaRecorder).empty());
  const bool there_is_cuda = !error_of(require_cuda);
  const auto error = error_of([] { open_recorder(program_folder(), kCudaRecorder); });
  if (error) CHECK_MESSAGE(error->message().starts_with("cannot open "), error->message());
  if (there_is_cuda) CHECK_FALSE(error);
}

TEST_CASE("on a GPU CUDA graphs answer as the members do on the CPU") {
  if (!gpu_is_usable()) return;
  for (const Strategy strategy : {Strategy::branches, Strategy::fused})
    for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{16, 10}})}) {
      CAPTURE(to_name(strategy));
      const SingleJob job = job_of(strategy, kind, 4, {2});
      const auto computation = made(job, graphs_of_gpu());
      const MemberAnswers found = answers_of(*computation);
      CHECK(worst_difference(found, expected(job)) <= kGpuTolerance);
      CHECK(answers_of(*computation) == found);
    }
}

TEST_CASE("on a GPU members one after another and in threads answer as on the CPU") {
  if (!gpu_is_usable()) return;
  for (const Strategy strategy : {Strategy::sequential, Strategy::threads}) {
    CAPTURE(to_name(strategy));
    SingleJob job = job_of(strategy, SmallCnnModel{}, 4, {2, 3});
    const MemberAnswers wanted = expected(job);
    job.between = 3;
    for (MemberRequest& member : job.members) member.cuda = true;
    CHECK(worst_difference(answers_of(*make_computation(job)), wanted) <= kGpuTolerance);
  }
}

}  // namespace
}  // namespace tutti::bench
