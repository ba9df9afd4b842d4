#include "worker/saved.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/saved_rows.hpp"
#include "worker/activation.hpp"

namespace tutti::worker {
namespace {

SavedReader open(const MemberRequest& request) {
  const std::string& path = std::get<SavedModel>(request.model).predictions;
  if (!request.saved)
    throw Error(ErrorKind::usage, fmt::format("there is no readable file '{}'", path),
                "named by 'predictions'; relative paths start at the current folder");
  return {path, *request.saved};
}

class Saved final : public Model {
 public:
  explicit Saved(const MemberRequest& request) : request_(request), reader_(open(request)) {}

  Dims output() const override { return rows().shape; }
  std::uint64_t parameters() const override { return 0; }

  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) override {
    const std::span<const std::uint64_t> numbers = samples.numbers();
    TUTTI_CHECK(numbers.size() == count);
    for (std::uint32_t begin = 0; begin < count;) {
      std::uint32_t end = begin + 1;
      while (end < count && numbers[end] == numbers[end - 1] + 1) ++end;
      read(numbers[begin], output.subspan(begin * rows().width(), (end - begin) * rows().width()));
      begin = end;
    }
    finish(output);
  }

  /// The first rows; what the file lacks is 0.
  std::span<const float> probe(const Samples& /*samples*/, std::uint32_t count) override {
    probed_.assign(count * rows().width(), 0);
    reader_.read(0, std::span(probed_).first(std::min<std::uint64_t>(count, rows().rows) * rows().width()));
    finish(probed_);
    return probed_;
  }

 private:
  const SavedRows& rows() const { return reader_.form(); }

  void read(std::uint64_t number, std::span<float> output) {
    const std::uint64_t last = number + (output.size() / rows().width() - 1);
    if (number < rows().first || last - rows().first >= rows().rows)
      throw Error(ErrorKind::failed, fmt::format("there are no saved predictions for sample {}", last),
                  fmt::format("the file has {} rows, the first of sample {}", rows().rows, rows().first));
    reader_.read(number - rows().first, output);
  }

  void finish(std::span<float> values) const {
    if (request_.output == OutputKind::logits && request_.over == OutputKind::probabilities)
      activate(request_.activation, rows().shape, request_.axis, values);
  }

  const MemberRequest request_;
  SavedReader reader_;
  std::vector<float> probed_;
};

}  // namespace

std::unique_ptr<Model> make_saved_model(const MemberRequest& request) { return std::make_unique<Saved>(request); }

}  // namespace tutti::worker
