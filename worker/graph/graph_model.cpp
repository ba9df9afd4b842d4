#include "worker/graph/graph_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/counted.hpp"
#include "common/difference.hpp"
#include "common/half.hpp"
#include "common/lfs_pointer.hpp"
#include "worker/activation.hpp"
#include "worker/answers.hpp"

namespace tutti::worker {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// How a tensor of the member becomes an input of the model.
struct Feed {
  std::size_t taken = 0;       ///< in MemberRequest::takes
  bool channels_last = false;  ///< the model wants height x width x channels
};

bool fits(std::span<const std::int64_t> model, const Dims& dims) {
  if (model.size() != dims.size()) return false;
  for (std::size_t i = 0; i < dims.size(); ++i)
    if (model[i] >= 0 && model[i] != dims[i]) return false;
  return true;
}

Dims with_channels_last(const Dims& image) { return {image[1], image[2], image[0]}; }

std::string names_of(const std::vector<Port>& ports) {
  std::vector<std::string> texts;
  for (const Port& port : ports) texts.push_back(fmt::format("'{}' ({})", port.name, text_of(port)));
  return fmt::format("{}", fmt::join(texts, ", "));
}

/// An image of channels x height x width to height x width x channels.
void turn(const std::byte* from, const TensorLayout& image, std::byte* to) {
  const std::size_t channels = image.dims[0];
  const std::size_t places = std::size_t{image.dims[1]} * image.dims[2];
  const std::size_t bytes = size_of(image.dtype);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t p = 0; p < places; ++p)
      std::memcpy(to + (p * channels + c) * bytes, from + (c * places + p) * bytes, bytes);
}

/// To float32, from the floating types that a model may output.
struct Conversion {
  std::string_view type;
  void (*convert)(const void* from, std::span<float> to);
};

template <class Value>
void each(const void* from, std::span<float> to, float (*as_float)(Value)) {
  const auto* const values = static_cast<const Value*>(from);
  std::transform(values, values + to.size(), to.begin(), as_float);
}

constexpr std::string_view kFloat32 = "float32";
constexpr std::array kConversions{
    Conversion{kFloat32, [](const void* from, std::span<float> to) { std::memcpy(to.data(), from, to.size_bytes()); }},
    Conversion{"float16", [](const void* from, std::span<float> to) { each<std::uint16_t>(from, to, float_of_half); }},
    Conversion{"bfloat16",
               [](const void* from, std::span<float> to) { each<std::uint16_t>(from, to, float_of_bfloat); }},
    Conversion{"float64", [](const void* from, std::span<float> to) {
                 each<double>(from, to, [](double value) { return static_cast<float>(value); });
               }}};

/// Null: not a floating type.
const Conversion* conversion_from(std::string_view type) {
  const auto found = std::ranges::find(kConversions, type, &Conversion::type);
  return found == kConversions.end() ? nullptr : &*found;
}

class GraphModel final : public Model {
 public:
  GraphModel(const MemberRequest& request, GraphFile file, std::unique_ptr<GraphSession> session, Exact exact)
      : request_(request),
        file_(std::move(file)),
        activates_(needs_activation(request)),
        session_(std::move(session)),
        exact_(std::move(exact)),
        scratch_(session_->lanes(), std::vector<std::vector<std::byte>>(session_->inputs().size())),
        output_(choose_output()),
        notes_(file_.notes) {
    for (std::size_t input = 0; input < session_->inputs().size(); ++input) feeds_.push_back(feed_for(input));
    if (request_.takes.size() != feeds_.size())
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' takes {}, and the member gives {}", file_.path, counted(feeds_.size(), "input"),
                              counted(request_.takes.size(), "tensor")),
                  names_of(session_->inputs()), "list in 'takes' of the member which tensors the model takes");
    find_fixed_batch();
  }

  Dims output() const override {
    const auto known = outputs_.find(request_.seen().dims);
    return known == outputs_.end() ? Dims{} : known->second;
  }
  std::uint64_t parameters() const override { return file_.parameters; }
  std::vector<std::string> notes() const override {
    std::vector<std::string> notes = notes_;
    if (apart_) notes.push_back(precision_note());
    return notes;
  }
  void end_warm_up() override { exact_.session.reset(); }
  void expect_images(const ImageShape& shape) override {
    request_.takes.front().seen = shape.layout();
    feeds_.front() = feed_for(0);
  }

  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) override {
    const Dims sizes = this->output();
    const std::size_t width = output.size() / count;
    explained(ErrorKind::failed, failed_on(count), {}, [&] {
      const auto place = [&](const Part& part) { return output.subspan(part.first * width, part.rows * width); };
      compute(
          *session_, samples, count,
          [&](const Part& part) -> std::optional<Into> {
            if (!in_place_ || (fixed_ != 0 && fixed_ != part.rows)) return std::nullopt;
            Into into{place(part), {part.rows}};
            into.sizes.insert(into.sizes.end(), sizes.begin(), sizes.end());
            return into;
          },
          [&](const Part& part, const Made& made) {
            if (made.data != nullptr) convert(made, place(part));
          });
    });
    if (activates_) activate(request_.activation, sizes, request_.axis, output);
  }

  std::span<const float> probe(const Samples& samples, std::uint32_t count) override {
    explained(ErrorKind::usage, failed_on(count), misfit_hint(), [&] {
      probed_.clear();
      compute(
          *session_, samples, count, [](const Part&) { return std::optional<Into>(); },
          [&](const Part& part, const Made& made) { look(part, made); });
      if (exact_.session) compare(samples, count);
    });
    const Dims sizes = output();
    if (activates_) {
      if (!probabilities_ && look_like_probabilities({probed_, sizes}, request_)) {
        probabilities_ = true;
        notes_.emplace_back(kSecondSoftmax);
      }
      activate(request_.activation, sizes, request_.axis, probed_);
    }
    check_sums({probed_, sizes}, request_);
    return probed_;
  }

 private:
  /// Samples of a batch that are computed together.
  struct Part {
    std::uint32_t first = 0;
    std::uint32_t rows = 0;
  };

  std::size_t choose_output() const {
    const std::vector<Port>& ports = session_->outputs();
    const auto fail = [&](std::string_view what, std::string_view hint) {
      throw Error(ErrorKind::usage, fmt::format("'{}' {}", file_.path, what), names_of(ports), std::string(hint));
    };
    const std::string& wanted = file_.output;
    const auto named = std::ranges::find(ports, wanted, &Port::name);
    if (!wanted.empty() && named == ports.end())
      fail(fmt::format("has no output '{}'", wanted), "set 'output' in 'model' to one of these");
    if (wanted.empty() && ports.size() != 1)
      fail(fmt::format("has {}", counted(ports.size(), "output")), "name the one to use with 'output' in 'model'");
    const auto chosen = static_cast<std::size_t>(wanted.empty() ? 0 : named - ports.begin());
    if (ports[chosen].type.empty())
      fail("outputs something that is no tensor",
           "choose another with 'output' in 'model'; a classifier of scikit-learn is converted with zipmap=False");
    return chosen;
  }

  std::size_t taken_for(std::size_t input) const {
    const std::vector<TakenTensor>& takes = request_.takes;
    const std::vector<Port>& ports = session_->inputs();
    for (std::size_t t = 0; t < takes.size(); ++t)
      if (takes[t].as == ports[input].name) return t;
    for (const TakenTensor& taken : takes)
      if (!taken.as.empty() && std::ranges::find(ports, taken.as, &Port::name) == ports.end())
        throw Error(ErrorKind::usage, fmt::format("'{}' has no input '{}'", file_.path, taken.as), names_of(ports),
                    "name one of these in 'takes'");
    return input < takes.size() && takes[input].as.empty() ? input : kNone;
  }

  Feed feed_for(std::size_t input) const {
    const Port& port = session_->inputs()[input];
    const std::size_t taken = taken_for(input);
    if (taken == kNone)
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' needs its input '{}', which the member does not give", file_.path, port.name),
                  names_of(session_->inputs()), "list in 'takes' of the member which tensors the model takes");
    const TensorLayout& seen = request_.takes[taken].seen;
    const auto refuse = [&](std::string_view hint) {
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' does not take {} [{}]", file_.path, to_name(seen.dtype), dims_text(seen.dims)),
                  fmt::format("its input '{}' is {}", port.name, text_of(port)), std::string(hint));
    };
    if (port.type != to_name(seen.dtype))
      refuse(
          "give it samples of that type ('inputs'), or convert the model; images are float32 once they are prepared");
    if (port.sizes.empty()) refuse("the first axis must be that of the samples");
    const std::span sizes = std::span(port.sizes).subspan(1);
    const bool straight = fits(sizes, seen.dims);
    const bool turned = seen.dims.size() == 3 && fits(sizes, with_channels_last(seen.dims));
    if (straight && turned && file_.channels == Channels::unknown)
      refuse(
          "its sizes do not say whether the channels of an image come first or last: convert it again with the "
          "number of channels fixed, such as [-1, 224, 224, 3]");
    if (!straight && !turned)
      refuse(
          "if the model takes images of another size, set 'resize' and 'crop' in 'input' of this member; if it takes "
          "other data, set 'takes'");
    return {taken, !straight};
  }

  /// Models that are exported without a free batch compute so many samples at a time; fewer are filled up.
  void find_fixed_batch() {
    for (const Port& port : session_->inputs()) {
      if (port.sizes[0] < 0) continue;
      if (port.sizes[0] == 0 || (fixed_ != 0 && fixed_ != port.sizes[0]))
        throw Error(ErrorKind::usage, fmt::format("'{}' takes no batch of samples", file_.path),
                    names_of(session_->inputs()), "export it with the axis of the samples as the first of each input");
      fixed_ = static_cast<std::uint32_t>(port.sizes[0]);
    }
    if (fixed_ != 0 && request_.batch_images % fixed_ != 0)
      notes_.push_back(
          fmt::format("it computes {} at a time and fills up what is missing: set 'batch_images' to a "
                      "multiple, or export it with a free batch",
                      counted(fixed_, "image")));
  }

  static std::string failed_on(std::uint32_t count) {
    return fmt::format("the model failed on a batch of {}", counted(count, "image"));
  }
  std::string misfit_hint() const {
    return fmt::format("the samples are {}; the model says it takes {}", taken_text(request_),
                       names_of(session_->inputs()));
  }

  /// Computes a batch in parts of one size, as many at a time as there are lanes, and takes them in order. The cut
  /// depends on `count` alone. Calls into_of(part) before each, and take(part, made) after it.
  template <class IntoOf, class Take>
  void compute(GraphSession& session, const Samples& samples, std::uint32_t count, IntoOf into_of, Take take) {
    const std::uint32_t lanes = session.lanes();
    const std::uint32_t step = fixed_ == 0 ? (count + lanes - 1) / lanes : fixed_;
    const std::uint32_t parts = (count + step - 1) / step;
    const auto part_at = [&](std::uint32_t p) { return Part{p * step, std::min(step, count - p * step)}; };
    std::uint32_t started = 0;
    std::uint32_t finished = 0;
    const auto take_next = [&] {
      const std::uint32_t part = finished++;
      take(part_at(part), session.finish(part % lanes));
    };
    try {
      for (; started < parts; ++started) {
        if (started >= lanes) take_next();
        const Part part = part_at(started);
        const std::optional<Into> into = into_of(part);
        session.start(started % lanes, inputs_for(samples, part, started % lanes), output_, into ? &*into : nullptr);
      }
      while (finished < parts) take_next();
    } catch (...) {
      while (finished < started) wait_for(session, finished++ % lanes);
      throw;
    }
  }

  /// The memory of a call must not go away while it is computed.
  static void wait_for(GraphSession& session, std::uint32_t lane) noexcept {
    try {
      session.finish(lane);
    } catch (const std::exception&) {
      return;  // another call failed before
    }
  }

  std::vector<Fed> inputs_for(const Samples& samples, const Part& part, std::uint32_t lane) {
    std::vector<Fed> inputs;
    for (std::size_t i = 0; i < feeds_.size(); ++i)
      inputs.push_back(prepared(feeds_[i], samples, part, scratch_[lane][i]));
    return inputs;
  }

  /// The input for some samples, in place if nothing must be changed; else from `scratch`.
  Fed prepared(const Feed& feed, const Samples& samples, const Part& part, std::vector<std::byte>& scratch) const {
    const TensorLayout& seen = request_.takes[feed.taken].seen;
    const std::uint32_t rows = fixed_ == 0 ? part.rows : fixed_;
    const std::byte* data = samples[feed.taken] + part.first * seen.bytes();
    if (feed.channels_last || rows != part.rows) {
      scratch.assign(rows * seen.bytes(), std::byte{0});
      if (feed.channels_last)
        for (std::uint32_t i = 0; i < part.rows; ++i)
          turn(data + i * seen.bytes(), seen, scratch.data() + i * seen.bytes());
      else
        std::memcpy(scratch.data(), data, part.rows * seen.bytes());
      data = scratch.data();
    }
    Fed fed{data, rows * seen.bytes(), {rows}};
    const Dims dims = feed.channels_last ? with_channels_last(seen.dims) : seen.dims;
    fed.sizes.insert(fed.sizes.end(), dims.begin(), dims.end());
    return fed;
  }

  /// Adds the model's output to what was probed, and learns its sizes and its type.
  void look(const Part& part, const Made& made) {
    const auto known = outputs_.find(request_.seen().dims);
    const Dims* const before = known == outputs_.end() ? nullptr : &known->second;
    const bool floating = conversion_from(made.type) != nullptr;
    const Dims sizes = sizes_of({made.sizes, made.type, floating}, request_, fixed_ == 0 ? part.rows : fixed_, before);
    outputs_.try_emplace(request_.seen().dims, sizes);
    in_place_ = made.type == kFloat32;
    if (!in_place_ && !std::exchange(converts_, true))
      notes_.push_back(fmt::format("its outputs are {}, and are converted to float32", made.type));
    const std::size_t begin = probed_.size();
    probed_.resize(begin + part.rows * elements_of(sizes));
    convert(made, std::span(probed_).subspan(begin));
  }

  /// The outputs that were probed with those for the same samples in float32, before the activation.
  void compare(const Samples& samples, std::uint32_t count) {
    std::vector<float> exact(probed_.size());
    const std::size_t width = exact.size() / count;
    compute(
        *exact_.session, samples, count, [](const Part&) { return std::optional<Into>(); },
        [&](const Part& part, const Made& made) {
          convert(made, std::span(exact).subspan(part.first * width, part.rows * width));
        });
    apart_ = std::max(apart_.value_or(0), difference_of(exact, probed_));
  }

  std::string precision_note() const {
    if (*apart_ == 0) return fmt::format("in {}, its outputs for made-up samples are those in f32", exact_.precision);
    if (std::isinf(*apart_))
      return fmt::format("in {}, some of its outputs for made-up samples are not finite, or far from those in f32",
                         exact_.precision);
    return fmt::format(
        "in {}, its outputs for made-up samples differ from those in f32 by at most {:.1e} of the largest",
        exact_.precision, *apart_);
  }

  static void convert(const Made& made, std::span<float> output) {
    conversion_from(made.type)->convert(made.data, output);
  }

  MemberRequest request_;
  GraphFile file_;
  bool activates_;
  std::unique_ptr<GraphSession> session_;
  Exact exact_;
  std::optional<double> apart_{};  ///< what was probed and `exact_`, as a part of the largest output
  std::vector<std::vector<std::vector<std::byte>>> scratch_;  ///< by lane, and by input of the model
  std::size_t output_;
  std::vector<Feed> feeds_;       ///< by input of the model
  std::uint32_t fixed_ = 0;       ///< samples that the model takes at a time; 0: any number
  std::map<Dims, Dims> outputs_;  ///< the sizes of a prediction, by those of the first tensor
  bool in_place_ = false;         ///< the model outputs float32
  bool converts_ = false;         ///< and a note says so
  bool probabilities_ = false;    ///< its logits look like probabilities, and a note says so
  std::vector<std::string> notes_;
  std::vector<float> probed_;
};

}  // namespace

std::string text_of(const Port& port) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : port.sizes) sizes.push_back(size < 0 ? "?" : std::to_string(size));
  return fmt::format("{} [{}]", port.type.empty() ? "no tensor" : port.type, fmt::join(sizes, ", "));
}

void check_model_file(const std::string& path) {
  if (!std::filesystem::exists(path))
    throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", path), {}, "correct 'path' of this member");
  refuse_lfs_pointer(path);
}

std::unique_ptr<Model> make_graph_model(const MemberRequest& request, const GraphFile& file,
                                        std::unique_ptr<GraphSession> session, Exact exact) {
  return std::make_unique<GraphModel>(request, file, std::move(session), std::move(exact));
}

}  // namespace tutti::worker
