#include "program/watching.hpp"

#include <cstdio>

#include "program/progress.hpp"

namespace tutti::program {
namespace {

class ShownProgress final : public ShownImages {
 public:
  ShownProgress(const Ensemble& ensemble, const std::string& what, std::uint64_t total, std::uint64_t known, bool quiet)
      : progress_(style_for(stderr, quiet), what, total, known, [&ensemble] { return ensemble.status(); }) {}
  void show(std::uint64_t done) override { progress_.show(done); }

 private:
  Progress progress_;
};

}  // namespace

std::shared_ptr<void> watch(Interruption& interruption, Ensemble& ensemble) {
  return std::make_shared<Interruption::Watch>(interruption, ensemble);
}

std::unique_ptr<ShownImages> shown_on_terminal(const Ensemble& ensemble, const std::string& what, std::uint64_t total,
                                               std::uint64_t known, bool quiet) {
  return std::make_unique<ShownProgress>(ensemble, what, total, known, quiet);
}

}  // namespace tutti::program
