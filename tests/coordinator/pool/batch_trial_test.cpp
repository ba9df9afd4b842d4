// Which members share a batch, and the message about the choice. Tests with whole pools show that it is carried out.
#include "coordinator/pool/batch_trial.hpp"

#include <doctest/doctest.h>

namespace tutti::test {
namespace {

Plan members(const std::vector<std::string>& names) {
  Plan plan;
  for (const std::string& name : names) {
    MemberPlan member;
    member.request.name = name;
    member.request.model = SmallCnnModel{};
    WorkerPlan worker;
    worker.members = {Rank(plan.members.size())};
    worker.device = "cpu";
    plan.members.push_back(member);
    plan.workers.push_back(worker);
  }
  return plan;
}

using Groups = std::vector<std::vector<Rank>>;

TEST_CASE("members of the same model on the same device share a batch") {
  Plan plan = members({"a", "b", "c", "d", "e"});
  CHECK(batch_groups(plan) == Groups{{0, 1, 2, 3, 4}});
  plan.members[1].request.model = MlpModel{{10}};
  plan.workers[2].device = "cpu:1";
  plan.members[4].request.threads = 2;
  CHECK(batch_groups(plan) == Groups{{0, 3}, {1}, {2}, {4}});
}

TEST_CASE("a choice is logged with the names of its members and what was measured") {
  const Plan plan = members({"cnn-0", "cnn-1", "cnn-2", "cnn-3"});
  const BatchChoice choice{8, {{4, 2100.4}, {8, 2600}}};
  CHECK(batch_text(plan, {0, 1, 2, 3}, choice) == "cnn-0..cnn-3: batches of 8 images (measured: 4: 2100/s, 8: 2600/s)");
  CHECK(batch_text(plan, {0, 1}, {8, {}}) == "cnn-0, cnn-1: batches of 8 images (there was nothing to measure)");
  CHECK(batch_text(plan, {0, 1, 3}, {8, {}}) ==
        "cnn-0, cnn-1, cnn-3: batches of 8 images (there was nothing to measure)");
  CHECK(batch_text(plan, {2}, {8, {}}) == "cnn-2: batches of 8 images (there was nothing to measure)");
}

}  // namespace
}  // namespace tutti::test
