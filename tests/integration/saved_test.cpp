// Ensembles of the API with saved predictions: which samples they take.
#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "common/random.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kSamples = 50;
constexpr std::size_t kValues = 4;

/// A member `a` whose predictions for 50 random samples are in a file.
struct SavedEnsemble {
  SavedEnsemble() {
    for (std::size_t i = 0; i < kSamples * kValues; ++i) rows.push_back(unit_float(random_at(6, i)));
    write_array(folder / "x.npy", "<f4", "(50, 4)", rows);
  }
  Spec spec() const {
    return parse_spec("members: [{name: a, model: {kind: saved, predictions: " + (folder / "x.npy").string() +
                      "}}]\nassignment: cpu\ncombine: {over: values, spread: true}\n"
                      "input: {dataset: random, count: 50, shape: [2, 3, 3]}\nsegment_images: 20\nbatch_images: 8\n");
  }
  TemporaryFolder folder;
  std::vector<float> rows;
};

TEST_CASE("an ensemble with saved predictions takes only the samples of its input") {
  const SavedEnsemble saved;
  Ensemble ensemble(saved.spec(), with_worker());
  const std::vector<float> pixels = random_images(1);
  for (const auto& error :
       {error_of([&] { ensemble.predict(view(pixels)); }), error_of([&] { ensemble.submit(view(pixels)); })}) {
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "a has saved predictions, which belong to the samples of the ensemble's 'input'");
    CHECK(error->detail() == "samples that come through predict() or submit() have no place in that data set");
    CHECK(error->hint() == "call run() with a source of the data set, or leave the member out");
  }
  ListSink sink;
  ListSource whole(random_images(kSamples), {});
  ensemble.run(whole, sink);
  CHECK(sink.values == saved.rows);
  ListSource more(random_images(kSamples + 1), {});
  const auto error = error_of([&] { ensemble.run(more, sink); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a has no saved predictions for all of a list");
  CHECK(error->detail() == "its file has those of samples 0 to 49, and the source has 0 to 50");
  CHECK(error->hint() == "predict the samples of the ensemble's 'input', or leave the member out");
}

TEST_CASE("a program gets the spread of the members with their predictions") {
  auto spec = fake_spec(2);
  spec.combine.over = OutputKind::logits;
  spec.combine.spread = true;
  spec.save_members = true;
  Ensemble ensemble(published(spec), with_worker());
  const Predictions found = ensemble.predict(view(random_images(9)));
  CHECK(found.spread_shape == Dims{4});
  REQUIRE(found.spread.size() == 36);
  for (std::size_t i = 0; i < 36; ++i) {
    const float half = (found.members[0].values[i] - found.members[1].values[i]) / 2;
    CHECK(found.spread[i] == doctest::Approx(half * half).epsilon(1e-5));
  }
}

}  // namespace
}  // namespace tutti::test
