// The drawings of who computes what.
#include <doctest/doctest.h>

#include "program/plan_text.hpp"

namespace tutti::test {
namespace {

using program::graph_dot;
using program::graph_text;

/// Members a, b, c, ..., each in a worker on cpu:0, cpu:1, ...
Plan plan_of(std::size_t members) {
  Plan plan;
  for (std::size_t m = 0; m < members; ++m) {
    MemberPlan member;
    member.request.name = std::string(1, static_cast<char>('a' + m));
    member.request.model = FakeModel{};
    plan.members.push_back(member);
    WorkerPlan worker;
    worker.members = {Rank(m)};
    worker.device = "cpu:" + std::to_string(m);
    plan.workers.push_back(worker);
  }
  return plan;
}

TEST_CASE("a plan with a worker for each member needs no drawing") { CHECK(graph_text(plan_of(3)).empty()); }

TEST_CASE("the drawing shows who shares a worker and who has several and who is asked only in doubt") {
  Plan plan = plan_of(4);
  plan.workers.erase(plan.workers.begin() + 1);
  plan.workers[0].members = {0, 1};
  plan.workers.push_back(plan.workers[1]);
  plan.workers.back().device = "cpu:7";
  plan.cascade = {{{0, 1}, config::Doubt::margin_below, 0.25, {3}}};
  CHECK(graph_text(plan) ==
        "segments --+--> a worker on cpu:0: a, b -------------+--> mean\n"
        "           +--> 2 workers on cpu:2, cpu:7: c --------+\n"
        "           +--> a worker on cpu:3: d (if in doubt) --+\n");
}

TEST_CASE("the graph for Graphviz has the workers, the arrows and the steps") {
  Plan plan = plan_of(3);
  plan.cascade = {{{0, 1}, config::Doubt::confidence_below, 0.9, {2}}};
  CHECK(graph_dot(plan, "3 x \"x\"") ==
        "digraph tutti {\n  rankdir=LR;\n  node [shape=box];\n"
        "  input [shape=folder, label=\"3 x \\\"x\\\"\"];\n"
        "  combine [shape=ellipse, label=\"mean\"];\n"
        "  subgraph cluster_0 {\n    label=\"1 worker on cpu:0\";\n    m0 [label=\"a\\nfake\"];\n  }\n"
        "  subgraph cluster_1 {\n    label=\"1 worker on cpu:1\";\n    m1 [label=\"b\\nfake\"];\n  }\n"
        "  subgraph cluster_2 {\n    label=\"1 worker on cpu:2\";\n    m2 [label=\"c\\nfake\"];\n  }\n"
        "  input -> m0;\n  m0 -> combine;\n  input -> m1;\n  m1 -> combine;\n  m2 -> combine;\n"
        "  step0 [shape=diamond, label=\"confidence_below 0.9\"];\n"
        "  m0 -> step0;\n  m1 -> step0;\n  step0 -> m2;\n}\n");
}

}  // namespace
}  // namespace tutti::test
