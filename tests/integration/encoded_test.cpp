// Encoded pictures that come through the API: over real workers, compared with the same pictures in a folder.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/pools.hpp"
#include "tests/integration/wide_pictures.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

/// The files of a folder, in the order of its source.
std::vector<std::string> files_of(const std::filesystem::path& folder) {
  const auto source = images::make_folder(folder, kShorter, {{1}});
  std::vector<std::string> files;
  for (std::uint64_t i = 0; i < source->count(); ++i) {
    std::ifstream in(folder / source->image_name(i), std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return files;
}

/// As over_pictures(), but no folder is named.
config::EnsembleSpec over_encoded(const std::filesystem::path& folder) {
  auto spec = over_pictures(folder);
  spec.input.dataset = config::Dataset::memory;
  spec.input.path.clear();
  spec.input.decode_threads = 2;
  spec.train_input = spec.input;
  return spec;
}

/// Every picture of a folder twice, with labels, from a place of its own.
class Streamed final : public EncodedSource {
 public:
  explicit Streamed(std::vector<std::string> files) : files_(std::move(files)) {}
  std::string name() const override { return "stream"; }
  std::uint64_t count() const override { return 2 * files_.size(); }
  std::uint32_t classes() const override { return 2; }
  bool labelled() const override { return true; }
  std::string image_name(std::uint64_t index) const override { return "p" + std::to_string(index); }
  std::span<const std::byte> encoded(std::uint64_t index, std::vector<std::byte>& room) override {
    const std::string& file = files_[index % files_.size()];
    room.resize(file.size());
    std::ranges::copy(std::as_bytes(std::span(file)), room.begin());
    return room;
  }
  std::int64_t label(std::uint64_t index) override { return index % 3 == 0 ? 1 : 0; }

 private:
  std::vector<std::string> files_;
};

TEST_CASE("encoded pictures through the API are seen like those of a folder") {
  const WidePictures folder;
  const std::vector<std::string> files = files_of(folder.path());
  for (const auto& spec : {over_encoded(folder.path()), over_pictures(folder.path())}) {
    Ensemble ensemble(published(spec), with_worker());
    const EncodedImages images(files);
    for (const Predictions& answer : {ensemble.predict(images), ensemble.submit(images).get()}) {
      CHECK(answer.count == 10);
      for (std::size_t rank = 0; rank < 3; ++rank)
        CHECK(answer.members[rank].values == answer_to_pictures(over_pictures(folder.path()), rank));
    }
  }
}

TEST_CASE("a source of encoded pictures streams and its labels come with it") {
  const WidePictures folder;
  const auto spec = over_encoded(folder.path());
  Ensemble ensemble(published(spec), with_worker());
  Streamed source(files_of(folder.path()));
  ListSink sink;
  ensemble.run(source, sink);
  for (std::size_t rank = 0; rank < 3; ++rank) {
    auto twice = answer_to_pictures(over_pictures(folder.path()), rank);
    twice.insert(twice.end(), twice.begin(), twice.begin() + static_cast<std::ptrdiff_t>(twice.size()));
    CHECK(sink.members[rank] == twice);
  }
  REQUIRE(sink.labels.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(sink.labels[i] == (i % 3 == 0 ? 1 : 0));
}

TEST_CASE("members that come find pictures in the sizes of members that have gone") {
  const WidePictures folder;
  const std::vector<std::string> files = files_of(folder.path());
  auto spec = over_encoded(folder.path());
  spec.checkpoint_segments = 1;
  Ensemble ensemble(published(spec), with_worker());
  const auto answers_as_if_it_were_new = [&] {
    Ensemble fresh(ensemble.spec(), with_worker());
    CHECK(ensemble.predict(EncodedImages(files)).values == fresh.predict(EncodedImages(files)).values);
  };
  MemberSpec plain = spec.members[0];
  MemberSpec squashed = spec.members[1];
  ensemble.remove_member("m1");
  plain.name = "plain";
  ensemble.add_member(plain);
  answers_as_if_it_were_new();
  auto next = ensemble.spec().checked();
  next.members.back().seed = 99;
  ensemble.replace_member("plain", Spec(next));
  answers_as_if_it_were_new();
  squashed.name = "squashed";
  ensemble.add_member(squashed);
  answers_as_if_it_were_new();
  // Only the second size is left, which is the first of an ensemble that is started like this.
  for (const char* name : {"m0", "m2", "plain"}) ensemble.remove_member(name);
  squashed.name = "another";
  squashed.seed = 5;
  ensemble.add_member(squashed);
  answers_as_if_it_were_new();
  squashed.name = "smaller";
  squashed.input->resize.height = 4;
  const auto error = error_of([&] { ensemble.add_member(squashed); });
  REQUIRE(error);
  CHECK(error->message() == "smaller cannot be added: it needs the input prepared in another way");
  CHECK(error->detail() ==
        "the memory of the running ensemble holds the images in the sizes that its members had at the start");
}

TEST_CASE("members are trained on encoded pictures as on those of a folder") {
  const WidePictures folder;
  const TemporaryFolder weights;
  const auto losses = [&](const config::EnsembleSpec& spec, Source& source) {
    Options options = with_worker();
    options.training = true;
    Ensemble ensemble(published(spec), options);
    std::vector<double> found(spec.members.size());
    ensemble.train(source, weights.path(), [&](const EpochResult& result) { found[result.member] = result.loss; });
    return found;
  };
  Streamed source(files_of(folder.path()));
  const auto first = losses(over_encoded(folder.path()), source);
  CHECK(first == losses(over_encoded(folder.path()), source));
  CHECK(first[0] != first[1]);  // they see other planes
}

TEST_CASE("an encoded picture that is broken is named and later calls work") {
  const WidePictures folder;
  std::vector<std::string> files = files_of(folder.path());
  const std::vector<std::string> whole = files;
  files[3] = "GIF89a";
  Ensemble ensemble(published(over_encoded(folder.path())), with_worker());
  const auto refused = [&](const EncodedImages& images) {
    const auto error = error_of([&] { ensemble.predict(images); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->hint() == "give the bytes of a whole file, as it is on a disk");
    return error->message() + ": " + error->detail();
  };
  CHECK(refused(EncodedImages(files)).starts_with("picture 3 of memory cannot be decoded: "));
  files[3] = {};
  CHECK(refused(EncodedImages(files)) == "picture 3 of memory cannot be decoded: it is empty");
  files[3] = whole[3].substr(0, whole[3].size() / 2);
  CHECK(refused(EncodedImages(files)).starts_with("picture 3 of memory cannot be decoded: "));
  CHECK(ensemble.predict(EncodedImages(whole)).count == 10);
  Streamed source({whole[0], "x"});
  ListSink sink;
  const auto error = error_of([&] { ensemble.run(source, sink); });
  REQUIRE(error);
  CHECK(error->message() == "p1 of stream cannot be decoded");
}

TEST_CASE("an ensemble that does not resize pictures refuses encoded ones") {
  const WidePictures folder;
  const std::vector<std::string> files = files_of(folder.path());
  auto spec = fake_spec(1);
  {
    Ensemble ensemble(published(spec), with_worker());
    const auto error = error_of([&] { ensemble.predict(EncodedImages(files)); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "memory has encoded pictures, but the ensemble does not resize pictures");
    CHECK(error->detail() == "it takes " + spec.input.shape.text());
    CHECK(error->hint() ==
          "say in 'input' what becomes of pictures of any size, for example 'input: {resize: 256, crop: 224}'");
  }
  spec.input.dataset = config::Dataset::folder;
  spec.input.path = "none";
  spec.input.tiles = Tiles{{spec.input.shape.height}, 0.5, Blend::mean};
  Ensemble ensemble(published(spec), with_worker());
  const auto error = error_of([&] { ensemble.predict(EncodedImages(files)); });
  REQUIRE(error);
  CHECK(error->message() == "memory has encoded pictures, which are not cut into tiles");
  CHECK(error->detail() == "the 'input' of the ensemble has 'tiles'");
  CHECK(error->hint() == "decode them, and pass them as tutti::Images");
}

TEST_CASE("the API says how many encoded pictures were not turned by their orientation") {
  const WidePictures folder;
  std::filesystem::copy_file(test::in_sources("tests/images/data/encoded/turned.jpg"), folder / "b" / "turned.jpg");
  const std::vector<std::string> files = files_of(folder.path());
  const auto said = [&](Orientation orientation) {
    auto spec = over_encoded(folder.path());
    spec.input.orientation = orientation;
    Ensemble ensemble(published(spec), with_worker());
    const Lines lines;
    ensemble.predict(EncodedImages(files));
    return lines.with("orientation");
  };
  CHECK(said(Orientation::ignore) ==
        std::vector<std::string>{
            "1 picture of memory has an EXIF orientation, which was not applied ('orientation: exif' turns them)"});
  CHECK(said(Orientation::exif).empty());
}

}  // namespace
}  // namespace tutti::test
