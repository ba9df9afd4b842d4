#include "worker/graph/clip_graph.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "merge/numbers.hpp"
#include "worker/clip_file.hpp"
#include "worker/failure.hpp"

namespace tutti::worker {
namespace {

/// Adds the steps and remembers where the values of each weight come from; they are read once all have places.
class ClipBuilder {
 public:
  explicit ClipBuilder(const ClipFile& file) : file_(file), config_(file.config()) {}

  NetworkGraph make(const MemberRequest& request) {
    graph_.sample = request.seen().dims;
    graph_.parameters = file_.parameters();
    std::size_t rows = embed(step({Operation::input, {}}));
    for (std::int64_t layer = 0; layer < config_.layers; ++layer) rows = encode(layer, rows);
    std::size_t last = norm(rows, "post_layernorm");
    graph_.output = "features";
    graph_.width = static_cast<std::uint32_t>(config_.hidden);
    if (file_.projected()) {
      last = step({Operation::dense, {last}, {weight(ClipFile::kProjection)}});
      graph_.width = static_cast<std::uint32_t>(graph_.weights.back().sizes.front());
    }
    const std::optional<merge::Head> head = clip_head_of(request, config_);
    if (head) add_head(*head, last);
    graph_.make_places();
    for (std::size_t i = 0; i < fills_.size(); ++i) fills_[i](graph_.place_of(graph_.weights[i]));
    return std::move(graph_);
  }

 private:
  using Sizes = std::vector<std::int64_t>;
  using Fill = std::function<void(std::span<float>)>;

  std::size_t step(NetworkStep step) { return graph_.add(std::move(step)); }

  std::size_t constant(std::string name, Sizes sizes, Fill fill) {
    fills_.push_back(std::move(fill));
    return graph_.add_weight(std::move(name), std::move(sizes));
  }
  /// A tensor of the checkpoint, by its name there, times a factor.
  std::size_t weight(const std::string& name, double factor = 1) {
    return constant(name, file_.shape(name), [this, name, factor](std::span<float> values) {
      read(name, values);
      if (factor != 1)
        for (float& value : values) value *= static_cast<float>(factor);
    });
  }
  void read(const std::string& name, std::span<float> values) {
    const merge::TensorForm& form = file_.checkpoint().form(name);
    if (form.dtype == merge::Dtype::f32) {
      file_.checkpoint().read(name, 0, std::as_writable_bytes(values));
    } else {
      bytes_.resize(form.bytes);
      file_.checkpoint().read(name, 0, bytes_);
      merge::decode(form.dtype, bytes_, values);
    }
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      throw not_finite(file_.checkpoint().path().string(), name);
  }

  std::size_t norm(std::size_t x, const std::string& name) {
    const std::string tensor = file_.name_of(name);
    return step({Operation::norm, {x}, {weight(tensor + ".weight"), weight(tensor + ".bias")}, {}, config_.epsilon});
  }
  std::size_t dense(std::size_t x, const std::string& name, double factor = 1, double bias_factor = 1) {
    const std::string tensor = file_.name_of(name);
    return step(
        {Operation::dense, {x}, {weight(tensor + ".weight", factor), weight(tensor + ".bias", bias_factor)}, {}});
  }

  /// Rows of tokens: the class token, then the patches. All are computed as sums with the positions, so the class token
  /// is a row of zeros to which itself and its position are added.
  std::size_t embed(std::size_t images) {
    const std::string name = file_.name_of("embeddings.");
    std::size_t x = step({Operation::convolution, {images}, {weight(name + "patch_embedding.weight")}, {config_.patch}});
    x = step({Operation::reshape, {x}, {}, {0, config_.hidden, config_.patches()}});
    x = step({Operation::zero_row, {step({Operation::transpose, {x}, {}, {0, 2, 1}})}});
    const std::string positions = name + "position_embedding.weight";
    const std::string class_token = name + "class_embedding";
    x = step({Operation::plus, {x}, {constant(positions, file_.shape(positions), [=, this](std::span<float> values) {
                read(positions, values);
                std::vector<float> token(static_cast<std::size_t>(config_.hidden));
                read(class_token, token);
                for (std::size_t i = 0; i < token.size(); ++i) values[i] += token[i];
              })}});
    return norm(step({Operation::reshape, {x}, {}, {-1, config_.hidden}}), "pre_layrnorm");
  }

  /// Of rows of all tokens; after the last layer only those of the class token, which alone is used.
  std::size_t encode(std::int64_t number, std::size_t x) {
    const std::string layer = fmt::format("encoder.layers.{}.", number);
    const std::string attention = layer + "self_attn.";
    const bool last = number + 1 == config_.layers;
    const auto asked = [&](std::size_t rows) {
      if (!last) return rows;
      const std::size_t by_sample = step({Operation::reshape, {rows}, {}, {-1, config_.tokens(), config_.hidden}});
      return step({Operation::first_row, {by_sample}});
    };
    const std::size_t normed = norm(x, layer + "layer_norm1");
    const std::size_t queries = dense(asked(normed), attention + "q_proj");
    const std::size_t keys = dense(normed, attention + "k_proj");
    const std::size_t values = dense(normed, attention + "v_proj");
    const std::size_t attended = step({Operation::attention,
                                       {queries, keys, values},
                                       {},
                                       {config_.heads, config_.hidden / config_.heads, last ? 1 : config_.tokens(), config_.tokens()}});
    const std::size_t sum = step({Operation::add, {asked(x), dense(attended, attention + "out_proj")}});
    return step({Operation::add, {sum, feed_forward(layer, norm(sum, layer + "layer_norm2"))}});
  }

  std::size_t feed_forward(const std::string& layer, std::size_t x) {
    const bool quick = config_.activation == ClipActivation::quick_gelu;
    const double factor = quick ? kQuickGelu : 1;
    const std::size_t up = dense(x, layer + "mlp.fc1", factor, factor);
    return dense(step({quick ? Operation::silu : Operation::gelu, {up}}), layer + "mlp.fc2", 1 / factor);
  }

  void add_head(const merge::Head& head, std::size_t features) {
    const auto copy_of = [](std::span<const float> from, float factor = 1) {
      return [from, factor](std::span<float> values) {
        std::ranges::transform(from, values.begin(), [&](float value) { return value * factor; });
      };
    };
    const std::int64_t width = head.width();
    const std::int64_t classes = head.classes();
    std::size_t x = features;
    if (!head.projection().empty())
      x = step({Operation::dense,
                {x},
                {constant("head.projection", {width, config_.hidden}, copy_of(head.projection()))}});
    if (head.normalizes()) x = step({Operation::unit, {x}});
    std::vector<std::size_t> weights{
        constant("head.weight", {classes, width}, copy_of(head.weight(), head.scale()))};
    if (!head.bias().empty()) weights.push_back(constant("head.bias", {classes}, copy_of(head.bias())));
    step({Operation::dense, {x}, std::move(weights)});
    graph_.output = "logits";
    graph_.width = head.classes();
  }

  const ClipFile& file_;
  const ClipConfig& config_;
  NetworkGraph graph_;
  std::vector<Fill> fills_;  ///< by weight
  std::vector<std::byte> bytes_;
};

}  // namespace

NetworkGraph clip_graph(const MemberRequest& request) {
  const ClipFile file = clip_file_of(request);
  return ClipBuilder(file).make(request);
}

}  // namespace tutti::worker
