#include "worker/onnx/onnx_model.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/half.hpp"
#include "common/lfs_pointer.hpp"
#include "worker/activation.hpp"
#include "worker/answers.hpp"
#include "worker/onnx/onnx_session.hpp"

namespace tutti::worker {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// Calls `work`; an exception of the library becomes Error(kind, message, its reason, hint).
template <class Work>
auto explained(ErrorKind kind, const std::string& message, const std::string& hint, Work work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(kind, message, error.what(), hint);
  }
}

ort::LoadedSession load(const std::string& path, std::uint32_t threads) {
  if (!std::filesystem::exists(path))
    throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", path), {}, "correct 'path' of this member");
  refuse_lfs_pointer(path);
  const ort::Library& library = ort::Library::get();
  return explained(ErrorKind::usage, fmt::format("ONNX Runtime {} cannot load '{}'", library.version(), path),
                   "if an operator or an opset is not known, install a newer onnxruntime; if a file is missing, it "
                   "holds the weights: it belongs into the folder of the model",
                   [&] { return ort::LoadedSession(path, threads); });
}

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

std::string names_of(const std::vector<ort::Port>& ports) {
  std::vector<std::string> texts;
  for (const ort::Port& port : ports) texts.push_back(fmt::format("'{}' ({})", port.name, text_of(port)));
  return fmt::format("{}", fmt::join(texts, ", "));
}

class OnnxModel final : public Model {
 public:
  explicit OnnxModel(const MemberRequest& request)
      : request_(request),
        model_(std::get<OnnxFileModel>(request.model)),
        activates_(needs_activation(request)),
        session_(load(model_.path, request.threads)),
        output_(choose_output()) {
    for (std::size_t input = 0; input < session_.inputs().size(); ++input) feeds_.push_back(feed_for(input));
    if (request_.takes.size() != feeds_.size())
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' takes {}, and the member gives {}", model_.path, counted(feeds_.size(), "input"),
                              counted(request_.takes.size(), "tensor")),
                  names_of(session_.inputs()), "list in 'takes' of the member which tensors the model takes");
    find_fixed_batch();
  }

  Dims output() const override {
    const auto known = outputs_.find(request_.seen().dims);
    return known == outputs_.end() ? Dims{} : known->second;
  }
  std::uint64_t parameters() const override { return 0; }
  std::vector<std::string> notes() const override { return notes_; }
  void expect_images(const ImageShape& shape) override {
    request_.takes.front().seen = shape.layout();
    feeds_.front() = feed_for(0);
  }

  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) override {
    const Dims sizes = this->output();
    explained(ErrorKind::failed, failed_on(count), {}, [&] {
      const std::uint32_t step = fixed_ == 0 ? count : fixed_;
      const std::size_t width = output.size() / count;
      for (std::uint32_t first = 0; first < count; first += step) {
        const std::uint32_t rows = std::min(step, count - first);
        infer(samples, first, rows, output.subspan(first * width, rows * width), sizes);
      }
    });
    if (activates_) activate(request_.activation, sizes, request_.axis, output);
  }

  std::span<const float> probe(const Samples& samples, std::uint32_t count) override {
    explained(ErrorKind::usage, failed_on(count), misfit_hint(), [&] {
      probed_.clear();
      const std::uint32_t step = fixed_ == 0 ? count : fixed_;
      for (std::uint32_t first = 0; first < count; first += step) look(samples, first, std::min(step, count - first));
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
  std::size_t choose_output() const {
    const std::vector<ort::Port>& ports = session_.outputs();
    const auto fail = [&](std::string_view what, std::string_view hint) {
      throw Error(ErrorKind::usage, fmt::format("'{}' {}", model_.path, what), names_of(ports), std::string(hint));
    };
    const std::string wanted = model_.entries.empty() ? std::string() : model_.entries.front();
    const auto named = std::ranges::find(ports, wanted, &ort::Port::name);
    if (!wanted.empty() && named == ports.end())
      fail(fmt::format("has no output '{}'", wanted), "set 'output' in 'model' to one of these");
    if (wanted.empty() && ports.size() > 1)
      fail(fmt::format("has {}", counted(ports.size(), "output")), "name the one to use with 'output' in 'model'");
    const auto chosen = static_cast<std::size_t>(wanted.empty() ? 0 : named - ports.begin());
    if (ports[chosen].type == 0)
      fail("outputs something that is no tensor",
           "choose another with 'output' in 'model'; a classifier of scikit-learn is converted with zipmap=False");
    return chosen;
  }

  std::size_t taken_for(std::size_t input) const {
    const std::vector<TakenTensor>& takes = request_.takes;
    for (std::size_t t = 0; t < takes.size(); ++t)
      if (takes[t].as == session_.inputs()[input].name) return t;
    for (const TakenTensor& taken : takes)
      if (const auto& ports = session_.inputs();
          !taken.as.empty() && std::ranges::find(ports, taken.as, &ort::Port::name) == ports.end())
        throw Error(ErrorKind::usage, fmt::format("'{}' has no input '{}'", model_.path, taken.as),
                    names_of(session_.inputs()), "name one of these in 'takes'");
    return input < takes.size() && takes[input].as.empty() ? input : kNone;
  }

  Feed feed_for(std::size_t input) const {
    const ort::Port& port = session_.inputs()[input];
    const std::size_t taken = taken_for(input);
    if (taken == kNone)
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' needs its input '{}', which the member does not give", model_.path, port.name),
                  names_of(session_.inputs()), "list in 'takes' of the member which tensors the model takes");
    const TensorLayout& seen = request_.takes[taken].seen;
    const auto refuse = [&](std::string_view hint) {
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' does not take {} [{}]", model_.path, to_name(seen.dtype), dims_text(seen.dims)),
                  fmt::format("its input '{}' is {}", port.name, text_of(port)), std::string(hint));
    };
    if (port.type != ort::element_type(seen.dtype))
      refuse(
          "give it samples of that type ('inputs'), or convert the model; images are float32 once they are prepared");
    if (port.sizes.empty()) refuse("the first axis must be that of the samples");
    const std::span sizes = std::span(port.sizes).subspan(1);
    if (fits(sizes, seen.dims)) return {taken, false};
    if (seen.dims.size() == 3 && fits(sizes, with_channels_last(seen.dims))) return {taken, true};
    refuse(
        "if the model takes images of another size, set 'resize' and 'crop' in 'input' of this member; if it takes "
        "other data, set 'takes'");
    return {};
  }

  /// Models that are exported without a free batch compute so many samples at a time; fewer are filled up.
  void find_fixed_batch() {
    for (const ort::Port& port : session_.inputs()) {
      if (port.sizes[0] < 0) continue;
      if (port.sizes[0] == 0 || (fixed_ != 0 && fixed_ != port.sizes[0]))
        throw Error(ErrorKind::usage, fmt::format("'{}' takes no batch of samples", model_.path),
                    names_of(session_.inputs()), "export it with the axis of the samples as the first of each input");
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
                       names_of(session_.inputs()));
  }

  /// The input for samples `first` to `first + count`, in place if nothing must be changed; else from `scratch`.
  ort::Value prepared(const Feed& feed, const Samples& samples, std::uint32_t first, std::uint32_t count,
                      std::vector<std::byte>& scratch) const {
    const TensorLayout& seen = request_.takes[feed.taken].seen;
    const std::uint32_t rows = fixed_ == 0 ? count : fixed_;
    const std::byte* data = samples[feed.taken] + first * seen.bytes();
    if (feed.channels_last || rows != count) {
      scratch.assign(rows * seen.bytes(), std::byte{0});
      if (feed.channels_last)
        for (std::uint32_t i = 0; i < count; ++i)
          turn(data + i * seen.bytes(), seen, scratch.data() + i * seen.bytes());
      else
        std::memcpy(scratch.data(), data, count * seen.bytes());
      data = scratch.data();
    }
    std::vector<std::int64_t> sizes{rows};
    const Dims dims = feed.channels_last ? with_channels_last(seen.dims) : seen.dims;
    sizes.insert(sizes.end(), dims.begin(), dims.end());
    return session_.tensor(data, rows * seen.bytes(), sizes, ort::element_type(seen.dtype));
  }

  /// An image of channels x height x width to height x width x channels.
  static void turn(const std::byte* from, const TensorLayout& image, std::byte* to) {
    const std::size_t channels = image.dims[0];
    const std::size_t places = std::size_t{image.dims[1]} * image.dims[2];
    const std::size_t bytes = size_of(image.dtype);
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t p = 0; p < places; ++p)
        std::memcpy(to + (p * channels + c) * bytes, from + (c * places + p) * bytes, bytes);
  }

  std::vector<ort::Value> inputs_for(const Samples& samples, std::uint32_t first, std::uint32_t count) {
    scratch_.resize(feeds_.size());
    std::vector<ort::Value> inputs;
    for (std::size_t i = 0; i < feeds_.size(); ++i)
      inputs.push_back(prepared(feeds_[i], samples, first, count, scratch_[i]));
    return inputs;
  }

  /// Straight into `output` if the model computes just that.
  void infer(const Samples& samples, std::uint32_t first, std::uint32_t count, std::span<float> output,
             const Dims& sizes) {
    const std::vector<ort::Value> inputs = inputs_for(samples, first, count);
    if (in_place_ && (fixed_ == 0 || fixed_ == count)) {
      std::vector<std::int64_t> all{count};
      all.insert(all.end(), sizes.begin(), sizes.end());
      return session_.run_into(inputs, output_, session_.tensor(output.data(), output.size_bytes(), all, ort::kFloat));
    }
    const ort::LoadedSession::Made made = session_.run(inputs, output_);
    convert(made, output);
  }

  /// Adds the model's output to what was probed, and learns its sizes and its type.
  void look(const Samples& samples, std::uint32_t first, std::uint32_t count) {
    const ort::LoadedSession::Made made = session_.run(inputs_for(samples, first, count), output_);
    const bool floating = made.type == ort::kFloat || made.type == ort::kFloat16 || made.type == ort::kBfloat16 ||
                          made.type == ort::kDouble;
    const std::string type = ort::type_text(made.type);
    const auto known = outputs_.find(request_.seen().dims);
    const Dims* const before = known == outputs_.end() ? nullptr : &known->second;
    const Dims sizes = sizes_of({made.sizes, type, floating}, request_, fixed_ == 0 ? count : fixed_, before);
    outputs_.try_emplace(request_.seen().dims, sizes);
    in_place_ = made.type == ort::kFloat;
    if (!in_place_ && !std::exchange(converts_, true))
      notes_.push_back(fmt::format("its outputs are {}, and are converted to float32", type));
    const std::size_t begin = probed_.size();
    probed_.resize(begin + count * elements_of(sizes));
    convert(made, std::span(probed_).subspan(begin));
  }

  static void convert(const ort::LoadedSession::Made& made, std::span<float> output) {
    const auto each = [&]<class Value>(const Value* values, auto as_float) {
      std::transform(values, values + output.size(), output.begin(), as_float);
    };
    switch (made.type) {
      case ort::kFloat16:
        return each(static_cast<const std::uint16_t*>(made.data), float_of_half);
      case ort::kBfloat16:
        return each(static_cast<const std::uint16_t*>(made.data), float_of_bfloat);
      case ort::kDouble:
        return each(static_cast<const double*>(made.data), [](double value) { return static_cast<float>(value); });
      default:
        std::memcpy(output.data(), made.data, output.size_bytes());
    }
  }

  MemberRequest request_;
  OnnxFileModel model_;
  bool activates_;
  ort::LoadedSession session_;
  std::size_t output_;
  std::vector<Feed> feeds_;       ///< by input of the model
  std::uint32_t fixed_ = 0;       ///< samples that the model takes at a time; 0: any number
  std::map<Dims, Dims> outputs_;  ///< the sizes of a prediction, by those of the first tensor
  bool in_place_ = false;         ///< the model outputs float32
  bool converts_ = false;         ///< and a note says so
  bool probabilities_ = false;    ///< its logits look like probabilities, and a note says so
  std::vector<std::string> notes_;
  std::vector<std::vector<std::byte>> scratch_;  ///< by input of the model
  std::vector<float> probed_;
};

}  // namespace

std::unique_ptr<Model> make_onnx_model(const MemberRequest& request) {
  if (request.cuda)
    throw Error(ErrorKind::usage, "members of kind 'onnx' run on the CPU only", {}, "assign the member to cpu");
  return std::make_unique<OnnxModel>(request);
}

}  // namespace tutti::worker
