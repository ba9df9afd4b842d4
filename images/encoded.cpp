// Encoded pictures of a program as a source.
#include <fmt/format.h>

#include <utility>

#include "images/pictures.hpp"

namespace tutti::images {
namespace {

class DecodedSource final : public Pictures {
 public:
  DecodedSource(EncodedSource& source, const Resize& resize, const Decoding& decoding)
      : Pictures(resize_of_picture({}, resize), decoding), source_(source) {
    count_is_known();
  }

  std::string name() const override { return source_.name(); }
  std::uint64_t count() const override { return source_.count(); }
  std::uint32_t classes() const override { return source_.classes(); }
  bool labelled() const override { return source_.labelled(); }
  std::string image_name(std::uint64_t index) const override { return source_.image_name(index); }
  std::string class_name(std::uint32_t label) const override { return source_.class_name(label); }
  std::uint64_t number_of(std::uint64_t index) const override { return source_.number_of(index); }
  std::vector<std::string> skipped() const override { return source_.skipped(); }
  std::vector<std::string> remarks() const override { return source_.remarks(); }
  std::optional<TensorLayout> label_layout() const override { return source_.label_layout(); }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    source_.read_labels(indices, labels);
  }

 private:
  std::span<const std::byte> load(std::uint64_t index, std::vector<std::byte>& room) const override {
    return source_.encoded(index, room);
  }
  Error refusal(std::uint64_t index, const std::string& why) const override {
    const std::string called = source_.image_name(index);
    return Error(ErrorKind::usage,
                 fmt::format("{} of {} cannot be decoded", called.empty() ? fmt::format("picture {}", index) : called,
                             source_.name()),
                 why, "give the bytes of a whole file, as it is on a disk");
  }
  std::int64_t label_of(std::uint64_t index) const override { return source_.label(index); }

  EncodedSource& source_;
};

class EncodedMemory final : public EncodedSource {
 public:
  explicit EncodedMemory(EncodedImages images) : images_(std::move(images)) {}

  std::string name() const override { return "memory"; }
  std::uint64_t count() const override { return images_.files().size(); }
  std::uint32_t classes() const override { return 0; }
  bool labelled() const override { return false; }
  std::span<const std::byte> encoded(std::uint64_t index, std::vector<std::byte>& /*room*/) override {
    return images_.files()[index];
  }

 private:
  EncodedImages images_;
};

}  // namespace

std::unique_ptr<PlaneSource> decoded(EncodedSource& source, const Resize& resize, const Decoding& decoding) {
  return std::make_unique<DecodedSource>(source, resize, decoding);
}

std::unique_ptr<Source> make_memory(EncodedImages images) { return std::make_unique<EncodedMemory>(std::move(images)); }

}  // namespace tutti::images
