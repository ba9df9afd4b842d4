// Which sizes apply, and what counts while they are tried.
#include "coordinator/pool/batch_sizes.hpp"

#include <doctest/doctest.h>

#include "tests/common/death.hpp"

namespace tutti::test {
namespace {

Plan plan_of_batches(Batches batches) {
  Plan plan;
  plan.batches = batches;
  plan.members.resize(2);
  plan.members[0].request.batch_images = 4;
  plan.members[1].request.batch_images = 8;
  return plan;
}

CompletionRecord not_finite() {
  CompletionRecord record;
  record.status = CompletionStatus::not_finite;
  return record;
}

TEST_CASE("batches that are given apply from the start") {
  become_loop_thread();
  BatchSizes sizes(plan_of_batches(Batches::given));
  CHECK(sizes.settled());
  CHECK(sizes.of(0) == 4);
  CHECK(sizes.of(1) == 8);
  sizes.note_segment();
  CHECK(sizes.tried_segments() == 0);
  CHECK(sizes.as_it_counts(not_finite()).status == CompletionStatus::not_finite);
}

TEST_CASE("while batches are tried segments are counted separately and no answer is refused") {
  become_loop_thread();
  BatchSizes sizes(plan_of_batches(Batches::to_measure));
  CHECK_FALSE(sizes.settled());
  sizes.try_out({16, 32});
  CHECK(sizes.of(1) == 32);
  sizes.note_segment();
  CHECK(sizes.as_it_counts(not_finite()).status == CompletionStatus::done);
  sizes.settle({{2, {}}, {64, {}}});
  CHECK(sizes.settled());
  CHECK(sizes.of(0) == 2);
  CHECK(sizes.of(1) == 64);
  sizes.note_segment();
  CHECK(sizes.tried_segments() == 1);
  CHECK(failed_check([&] {
          become_loop_thread();
          sizes.settle({{4, {}}, {4, {}}});
        }).ends_with("sizes that are final do not change"));
  CHECK(sizes.as_it_counts(not_finite()).status == CompletionStatus::not_finite);
}

}  // namespace
}  // namespace tutti::test
