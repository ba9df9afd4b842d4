#include "coordinator/plan/saved.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "common/axis.hpp"
#include "common/class_sums.hpp"
#include "common/counted.hpp"
#include "common/not_finite.hpp"
#include "common/wire/channel.hpp"
#include "images/prediction_array.hpp"

namespace tutti {
namespace {

/// Values that are looked at together.
constexpr std::uint64_t kAtOnce = 1 << 18;

const std::string& file_of(const config::MemberSpec& member) {
  return std::get<SavedModel>(member.model.kind).predictions;
}

/// "e.yaml:3:14: member 'a': ..."
std::string located(const config::MemberSpec& member, const std::string& what) {
  const std::string& place = member.model.file_place.text;
  return fmt::format("{}member '{}': {}", place.empty() ? "" : place + ": ", member.name, what);
}

[[noreturn]] void refuse(const config::MemberSpec& member, const std::string& what, std::string detail,
                         std::string hint) {
  throw Error(ErrorKind::usage, located(member, what), std::move(detail), std::move(hint));
}

SavedRows rows_of(const std::string& path) {
  SavedRows rows;
  rows.changed_ns = changed_ns_of(path);
  images::InputFile file(path);
  images::NpyHeader header = images::read_npy_header(file);
  images::OpenArray array{std::move(file), std::move(header), {}};
  const images::FoundPredictions found = images::look_at_predictions(array, kMaxWidth);
  rows.shape = found.shape;
  rows.type = found.type;
  rows.rows = array.header.shape.front();
  rows.offset = array.header.data_offset;
  rows.file_bytes = array.file.size();
  images::open_predictions(std::move(array));  // checks type, order and size
  return rows;
}

/// Which sample has row 0.
std::uint64_t first_of(const config::MemberSpec& member, std::uint64_t rows, const InputForm& input) {
  if (!input.images || rows == std::max(input.whole, *input.images)) return 0;
  if (rows == *input.images) return input.first;
  const bool part = input.whole > *input.images;
  refuse(member,
         fmt::format("{} has {}, and the input has {}", file_of(member), counted(rows, "row"),
                     counted(std::max(input.whole, *input.images), "sample")),
         part ? fmt::format("{} of them are used ('skip', 'limit'), so {} rows would fit, too", *input.images,
                            *input.images)
              : "",
         "give predictions of the same samples, in the order of the input");
}

/// The sizes of a prediction that are known before the model is loaded; nothing if they are not.
std::optional<Dims> told_shape(const MemberRequest& request) {
  if (request.saved) return request.saved->shape;
  return dims_behind(request.steps, facts_of(request.model).prediction());
}

/// Looks at the values of one member.
class Examination {
 public:
  Examination(const config::MemberSpec& member, const config::EnsembleSpec& spec, const SavedRows& rows)
      : member_(member), rows_(rows), finite_(spec.failure.on_nan == OnNan::error) {
    const config::CombineSpec& combine = spec.combine;
    const bool shares = member.output == OutputKind::probabilities && combine.over == OutputKind::probabilities &&
                        combine.activation != Activation::sigmoid;
    axis_ = shares ? size_at(rows.shape, combine.axis) : std::nullopt;
  }

  bool needed() const { return finite_ || axis_; }

  /// Of one row.
  void look(std::uint64_t row, std::span<const float> values) const {
    if (const auto place = first_not_finite(values); place && finite_)
      refuse(member_, fmt::format("{} holds NaN, infinity or a value that float32 cannot hold", file_of(member_)),
             fmt::format("first for sample {}, in row {}", rows_.first + row, row),
             "correct the file; or 'on_nan: allow' lets such values into the result, and 'on_nan: degrade' leaves out "
             "their segments of this member");
    else if (!place && axis_)
      check_sums(row, values);
  }

 private:
  void check_sums(std::uint64_t row, std::span<const float> values) const {
    std::size_t inner = 1;
    for (std::size_t size = *axis_ + 1; size < rows_.shape.size(); ++size) inner *= rows_.shape[size];
    for_each_class_sum(values, rows_.shape[*axis_], inner, [&](double sum, std::size_t) {
      if (std::fabs(sum - 1) <= kSumTolerance) return;
      refuse(member_, fmt::format("{} holds no probabilities of classes: they do not sum to 1", file_of(member_)),
             fmt::format("those of sample {}, in row {}, sum to {:.4g}", rows_.first + row, row, sum),
             "set the member's 'output: logits' if they are logits; if several labels may be right at once, set "
             "'activation: sigmoid' in 'combine'");
    });
  }

  const config::MemberSpec& member_;
  const SavedRows& rows_;
  bool finite_;
  std::optional<std::size_t> axis_;  ///< along which the values sum to 1
};

}  // namespace

std::optional<SavedRows> find_saved(const config::MemberSpec& member, const InputForm& input) {
  if (!is_saved(facts_of(member.model.kind)) || ::access(file_of(member).c_str(), R_OK) != 0) return std::nullopt;
  SavedRows rows;
  try {
    rows = rows_of(file_of(member));
  } catch (const Error& error) {
    throw Error(error.kind(), located(member, error.message()), error.detail(), error.hint());
  }
  rows.first = first_of(member, rows.rows, input);
  return rows;
}

void check_saved_shapes(const config::EnsembleSpec& spec, const Plan& plan) {
  if (spec.combine.rule == CombineRule::none) return;
  const MemberRequest* first = nullptr;
  std::optional<std::size_t> saved;
  for (std::size_t rank = 0; rank < plan.combined(); ++rank) {
    const MemberRequest& request = plan.members[rank].request;
    const std::optional<Dims> shape = told_shape(request);
    if (!shape) continue;
    if (first == nullptr) first = &request;
    if (!saved && request.saved) saved = rank;
    if (!saved || *shape == *told_shape(*first)) continue;
    // The member that is named is one whose file can be wrong.
    const bool this_one = request.saved.has_value();
    const config::MemberSpec& member = spec.members[this_one ? rank : *saved];
    const MemberRequest& other = this_one ? *first : request;
    const Dims& of_file = (this_one ? request : plan.members[*saved].request).saved->shape;
    refuse(member,
           fmt::format("the predictions in {} are {}, and member '{}' outputs {}", file_of(member), dims_text(of_file),
                       other.name, dims_text(*told_shape(other))),
           "members that are combined have predictions of one shape", "only rule none takes both");
  }
}

void check_saved_values(const config::EnsembleSpec& spec, const Plan& plan) {
  for (std::size_t rank = 0; rank < plan.combined(); ++rank) {
    const std::optional<SavedRows>& rows = plan.members[rank].request.saved;
    if (!rows || !plan.input.images) continue;
    const config::MemberSpec& member = spec.members[rank];
    const Examination examination(member, spec, *rows);
    if (!examination.needed()) continue;
    SavedReader reader(file_of(member), *rows);
    const std::uint64_t width = rows->width();
    const std::uint64_t begin = plan.input.first - rows->first;
    const std::uint64_t end = begin + *plan.input.images;
    std::vector<float> values;
    for (std::uint64_t row = begin; row < end;) {
      const std::uint64_t count = std::min(std::max<std::uint64_t>(1, kAtOnce / width), end - row);
      values.resize(count * width);
      reader.read(row, values);
      for (std::uint64_t i = 0; i < count; ++i) examination.look(row + i, std::span(values).subspan(i * width, width));
      row += count;
    }
  }
}

}  // namespace tutti
