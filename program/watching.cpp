#include "program/watching.hpp"

#include <cstdio>

#include "program/progress.hpp"

namespace tutti::program {
namespace {

class ShownProgress final : public ShownImages {
 public:
  ShownProgress(const Ensemble& ensemble, const ShownWork& work, bool quiet)
      : progress_(
            style_for(stderr, quiet), work.what, work.total, work.known, [&ensemble] { return ensemble.status(); },
            work.part) {}
  void show(std::uint64_t done) override { progress_.show(done); }

 private:
  Progress progress_;
};

}  // namespace

std::shared_ptr<void> watch(Interruption& interruption, Ensemble& ensemble) {
  return std::make_shared<Interruption::Watch>(interruption, ensemble);
}

std::unique_ptr<ShownImages> shown_on_terminal(const Ensemble& ensemble, const ShownWork& work, bool quiet) {
  return std::make_unique<ShownProgress>(ensemble, work, quiet);
}

}  // namespace tutti::program
