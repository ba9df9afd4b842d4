// Training over real worker processes: the same bytes for the same seeds, and each member with its own settings.
#include <doctest/doctest.h>

#include <fstream>

#include "common/atomic_file.hpp"
#include "common/random.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kImages = 37;

ListSource labelled_images() {
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < kImages; ++i) labels.push_back(static_cast<std::int64_t>(random_at(9, i) % 4));
  return {random_images(kImages), labels};
}

struct Trained {
  std::vector<std::string> weights;  ///< content, by rank
  std::vector<EpochResult> epochs;
};

Trained train(const config::EnsembleSpec& spec) {
  const TemporaryFolder folder;
  Ensemble ensemble(published(spec), with_worker());
  ListSource source = labelled_images();
  Trained trained;
  const TrainResult result =
      ensemble.train(source, folder.path(), [&](const EpochResult& epoch) { trained.epochs.push_back(epoch); });
  REQUIRE(result.weights.size() == spec.members.size());
  for (std::size_t rank = 0; rank < result.weights.size(); ++rank) {
    CHECK(result.weights[rank] == folder / (spec.members[rank].name + ".safetensors"));
    trained.weights.push_back(read_text(result.weights[rank], "weights"));
  }
  return trained;
}

config::EnsembleSpec training_spec(std::size_t members) {
  auto spec = fake_spec(members);
  for (auto& member : spec.members) {
    member.train.epochs = 2;
    member.train.batch_images = 5;
    member.train.learning_rate = 0.125;
  }
  return spec;
}

TEST_CASE("a training on no images is refused and writes no weights") {
  const TemporaryFolder folder;
  Ensemble ensemble(published(training_spec(1)), with_worker());
  ListSource none({}, {0});
  const auto error = error_of([&] { ensemble.train(none, folder.path(), {}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "there are no images to train on");
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("the same seeds give the same bytes again and members differ") {
  const auto spec = training_spec(2);
  const Trained first = train(spec);
  CHECK(first.weights == train(spec).weights);
  CHECK(first.weights[0] != first.weights[1]);
}

TEST_CASE("each member trains for its number of epochs and reports each as it ends") {
  auto spec = training_spec(3);
  spec.members[0].train.epochs = 3;
  spec.members[1].train.epochs = 1;
  const Trained trained = train(spec);
  std::vector<std::pair<std::uint32_t, std::size_t>> seen;
  for (const EpochResult& epoch : trained.epochs) {
    seen.emplace_back(epoch.epoch, epoch.member);
    CHECK(epoch.images == kImages);
    CHECK(epoch.loss > 0);
    CHECK(epoch.accuracy >= 0);
    CHECK(epoch.accuracy <= 1);
  }
  const std::vector<std::pair<std::uint32_t, std::size_t>> expected{{1, 0}, {1, 1}, {1, 2}, {2, 0}, {2, 2}, {3, 0}};
  CHECK(seen == expected);
}

TEST_CASE("with a bootstrap each member trains on its own resample") {
  auto spec = training_spec(3);
  spec.members[1].train.bootstrap = spec.members[2].train.bootstrap = true;
  const Trained trained = train(spec);
  for (const EpochResult& epoch : trained.epochs) {
    std::uint64_t expected = kImages;
    if (epoch.member > 0) {
      expected = 0;
      for (std::uint64_t number = 0; number < kImages; ++number)
        expected += poisson_one(spec.members[epoch.member].seed, number);
    }
    CHECK(epoch.images == expected);
  }
  CHECK(trained.weights == train(spec).weights);
}

TEST_CASE("training copies each image once per epoch for any number of members") {
  const TemporaryFolder folder;
  Ensemble ensemble(published(training_spec(3)), with_worker());
  ListSource source = labelled_images();
  ensemble.train(source, folder.path());
  CHECK(ensemble.status().input_bytes_copied == 2 * kImages * kShape.elements() * sizeof(float));
}

TEST_CASE("weights go to the file that the member names and its folder is made") {
  const TemporaryFolder folder;
  auto spec = training_spec(1);
  spec.members[0].model.weights = folder / "a/b/c.safetensors";
  Options options = with_worker();
  options.training = true;  // otherwise the file would have to exist already
  Ensemble ensemble(published(spec), options);
  ListSource source = labelled_images();
  CHECK(ensemble.train(source, folder / "elsewhere").weights.front() == folder / "a/b/c.safetensors");
  CHECK(std::filesystem::exists(folder / "a/b/c.safetensors"));
  // A pool starts from the saved weights.
  const auto images = random_images(9);
  const auto trained = ensemble.predict(view(images)).values;
  Ensemble loaded(published(spec), with_worker());
  CHECK(loaded.predict(view(images)).values == trained);
  CHECK(trained != naive_mean(spec, images));
}

TEST_CASE("a pool predicts and trains and predicts again") {
  const TemporaryFolder folder;
  const auto spec = training_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(9);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  ListSource source = labelled_images();
  ensemble.train(source, folder.path());
  const auto once = ensemble.predict(view(images)).values;
  CHECK(once != naive_mean(spec, images));
  ensemble.train(source, folder.path());
  CHECK(ensemble.predict(view(images)).values != once);
}

TEST_CASE("images without labels cannot be trained on") {
  const TemporaryFolder folder;
  Ensemble ensemble(published(training_spec(1)), with_worker());
  ListSource source(random_images(5), {});
  const auto error = error_of([&] { ensemble.train(source, folder.path()); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a list has no labels to train on");
  CHECK(contains(error->hint(), "labels"));
}

TEST_CASE("a label outside the members' classes is refused and the pool stays usable") {
  const TemporaryFolder folder;
  const auto spec = training_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  ListSource source(random_images(1), {4});
  CHECK(message_of([&] { ensemble.train(source, folder.path()); }) ==
        "image 0 of a list has the label 4, but the members have only 4 classes");
  const auto images = random_images(5);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("weights that cannot be written are an error with member and file and the others write theirs") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "m0.safetensors");
  const auto spec = training_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  ListSource source = labelled_images();
  const auto error = error_of([&] { ensemble.train(source, folder.path()); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "m0 on cpu: could not write " + (folder / "m0.safetensors").string() + ": Is a directory");
  CHECK(error->hint() == "choose another name, or move that folder away");
  CHECK(read_text(folder / "m1.safetensors", "weights") == train(spec).weights[1]);
  // The training is not lost: the pool predicts with it.
  const auto images = random_images(9);
  CHECK(ensemble.predict(view(images)).values != naive_mean(spec, images));
}

/// The error that keeps an ensemble from training; checks that it comes before any training.
std::optional<Error> refused(const config::EnsembleSpec& spec, const std::filesystem::path& folder) {
  Options options = with_worker();
  options.training = true;
  Ensemble ensemble(published(spec), options);
  ListSource source = labelled_images();
  const auto error = error_of([&] { ensemble.train(source, folder); });
  const Status status = ensemble.status();
  CHECK(status.state == PoolState::ready);
  CHECK(status.input_bytes_copied == 0);
  for (const MemberStatus& member : status.members) CHECK(member.segments_handed_out == 0);
  return error;
}

TEST_CASE("a folder for weights that cannot be made is an error before any training") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  const auto error = refused(training_spec(1), folder / "file/below");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "cannot write the weights to " + (folder / "file/below").string());
  CHECK(error->detail() == (folder / "file").string() + " is not a folder");
}

TEST_CASE("two members that would save to one file are refused before any training") {
  const TemporaryFolder folder;
  auto spec = training_spec(3);
  spec.members[0].model.weights = folder / "w/same.safetensors";
  spec.members[2].model.weights = folder / "w/same.safetensors";
  const auto error = refused(spec, folder.path());
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "m0 and m2 would save their weights to the same file");
  CHECK(error->detail() == (folder / "w/same.safetensors").string());
  CHECK(contains(error->hint(), "'weights'"));
  // Even with another spelling of the file.
  spec.members[2].model.weights = folder / "w/../w/./same.safetensors";
  CHECK(refused(spec, folder.path()));
  spec.members[2].model.weights.clear();
  spec.members[0].model.weights = folder / "elsewhere/../m2.safetensors";
  CHECK(refused(spec, folder.path()));
}

TEST_CASE("a training that diverges says so and names the learning rate") {
  const NothingLeft census;
  const TemporaryFolder folder;
  auto spec = training_spec(2);
  fake_model(spec, 1).faults = {{FaultKind::nan, FaultPhase::train, 3}};
  Ensemble ensemble(published(spec), with_worker());
  ListSource source = labelled_images();
  const auto error = error_of([&] { ensemble.train(source, folder.path()); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "m1 on cpu diverged: its loss is NaN or infinite");
  CHECK(contains(error->hint(), "learning_rate"));
  CHECK(folder.names().empty());
}

}  // namespace
}  // namespace tutti::test
