#include "coordinator/plan/input.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "config/input.hpp"
#include "images/label_tensor.hpp"
#include "images/planes.hpp"
#include "images/sources.hpp"
#include "images/tiles.hpp"

namespace tutti {
namespace {

images::Split split_of(const config::InputSpec& input) {
  return input.split == config::Split::train ? images::Split::train : images::Split::test;
}

std::vector<images::ArrayInput> files_of_tensors(const config::InputSpec& input) {
  std::vector<images::ArrayInput> files;
  for (const config::InputTensor& tensor : input.tensors) files.push_back({tensor.name, tensor.file});
  return files;
}

images::Layout layout_of(const config::InputSpec& input) {
  return input.layout == config::Layout::nhwc ? images::Layout::nhwc : images::Layout::nchw;
}

images::LabelFile labels_of(const config::InputSpec& input) {
  return {input.labels, input.label_form, input.ignore_index, input.classes};
}

images::FolderReading reading_of(const config::InputSpec& input) {
  return {input.decode_threads, input.on_broken == OnBroken::skip, input.jpeg_scaling, input.orientation};
}

std::unique_ptr<Source> open_data_set(const config::InputSpec& input) {
  switch (input.dataset) {
    case config::Dataset::digits:
      return images::make_digits(split_of(input));
    case config::Dataset::cifar10:
      return images::make_cifar10(input.path, split_of(input));
    case config::Dataset::npy:
      return images::with_labels(labels_of(input), [&](images::ReadLabels read) {
        return input.tensors.empty()
                   ? images::make_npy(input.images, input.labels, layout_of(input), input.classes, read)
                   : images::make_arrays(files_of_tensors(input), input.labels, input.classes, read);
      });
    case config::Dataset::folder:
      return images::make_folder(input.path, input.resize, reading_of(input));
    case config::Dataset::random:
      if (const auto tensors = config::known_tensors(input))
        return images::make_random(input.count, *tensors, input.classes, input.seed);
      return images::make_random(input.count, input.shape, input.classes, input.seed);
    case config::Dataset::memory:
      break;
  }
  throw Error(ErrorKind::usage, "there are no images to work on", "'input' does not name a data set",
              "add for example 'input: {dataset: digits}'; without it, images can come only through the API");
}

/// `Images`: a source, or large inputs.
template <class Images>
void check_skip(const config::InputSpec& input, const Images& images) {
  if (input.skip > 0 && input.skip >= images.count())
    throw Error(ErrorKind::usage, fmt::format("'skip: {}' leaves no images", input.skip),
                fmt::format("{} has {}", images.name(), counted(images.count(), "image")), "make 'skip' smaller");
}

std::unique_ptr<images::LargeInputs> open_large(const config::InputSpec& input) {
  if (input.dataset == config::Dataset::folder) return images::open_large_pictures(input.path, reading_of(input));
  if (input.tensors.empty()) return images::open_large_images(input.images, layout_of(input));
  return images::open_large_array(files_of_tensors(input).front());
}

/// `skip` and `limit` count inputs, not their tiles.
std::unique_ptr<Source> open_tiled(const config::InputSpec& input) {
  std::unique_ptr<images::LargeInputs> inputs = open_large(input);
  check_skip(input, *inputs);
  const std::uint64_t count = input.limit.value_or(inputs->count());
  return images::tiled(std::move(inputs), *input.tiles, input.skip, count);
}

std::unique_ptr<Source> open_limited(const config::InputSpec& input) {
  if (input.tiles) return open_tiled(input);
  std::unique_ptr<Source> source = open_data_set(input);
  check_skip(input, *source);
  if (input.skip > 0) source = images::without_first(std::move(source), input.skip);
  return input.limit ? images::limited(std::move(source), *input.limit) : std::move(source);
}

/// What the member asks for; the same for members that leave all to the data set.
Resize asked_by(const config::MemberSpec& member) { return member.input.value_or(MemberInput{}).resize; }

/// What is done to the images before they are in the arena, for one member.
Resize resize_for(const config::MemberSpec& member, const config::InputSpec& input) {
  return resize_of_picture(asked_by(member), config::resizes_pictures(input) ? input.resize : Resize{});
}

ImageShape shape_for(const config::MemberSpec& member, const OpenedInput& opened) {
  const Resize resize = resize_for(member, opened.input);
  return config::resizes_pictures(opened.input) ? fixed_shape(resize) : resized_shape(resize, opened.source.shape());
}

/// The tensor of this name, or null.
const NamedLayout* find(const std::vector<NamedLayout>& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &NamedLayout::name);
  return found == tensors.end() ? nullptr : &*found;
}

/// Whether two samples have the same tensors, in any order, in the same shapes.
bool same_shapes(const std::vector<NamedLayout>& a, const std::vector<NamedLayout>& b) {
  return a.size() == b.size() && std::ranges::all_of(a, [&](const NamedLayout& tensor) {
           const NamedLayout* const other = find(b, tensor.name);
           return other != nullptr && other->layout.dims == tensor.layout.dims;
         });
}

/// What of the samples that were found is in the arena: images that no worker prepares are float32 there.
InputForm stored_form(config::FoundSamples found, const config::EnsembleSpec& spec, const config::InputSpec& input) {
  if (input.tensors.empty() && !workers_prepare(spec, input))
    for (NamedLayout& image : found.tensors) image.layout.dtype = Dtype::float32;
  InputForm form{std::move(found.tensors), found.count, planes_of(spec, input)};
  form.band_places = found.band_places;
  form.first = found.first;
  form.whole = found.whole;
  return form;
}

/// Of samples that come through the API and are declared.
InputForm declared_form(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  if (auto tensors = config::known_tensors(input)) return {std::move(*tensors), std::nullopt};
  const bool bytes = input.has_bytes && workers_prepare(spec, input);
  return {input.shape, std::nullopt, bytes ? Dtype::uint8 : Dtype::float32};
}

/// "uint8 and float32".
std::string types_text(const InputForm& form) {
  std::vector<std::string> types;
  for (const NamedLayout& tensor : form.tensors) types.emplace_back(to_name(tensor.layout.dtype));
  return and_list(types);
}

}  // namespace

std::vector<Plane> planes_of(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  std::vector<Plane> planes;
  if (!config::resizes_pictures(input)) return planes;
  for (const config::MemberSpec& member : spec.members) {
    const Resize resize = resize_for(member, input);
    const bool known = std::ranges::any_of(planes, [&](const Plane& plane) { return plane.resize == resize; });
    if (!known && !is_saved(facts_of(member.model.kind))) planes.push_back({asked_by(member), resize});
  }
  if (planes.empty()) planes.push_back({Resize{}, input.resize});  // members with saved predictions only
  return planes;
}

std::uint32_t plane_of(const std::vector<Plane>& planes, const config::MemberSpec& member,
                       const config::InputSpec& input) {
  if (planes.empty() || is_saved(facts_of(member.model.kind))) return 0;
  const Resize resize = resize_for(member, input);
  const auto found = std::ranges::find_if(planes, [&](const Plane& plane) { return plane.resize == resize; });
  TUTTI_CHECK(found != planes.end());
  return static_cast<std::uint32_t>(found - planes.begin());
}

std::vector<TensorLayout> arrays_of(const InputForm& form) {
  std::vector<TensorLayout> arrays;
  if (form.planes.empty())
    for (const NamedLayout& tensor : form.tensors) arrays.push_back(tensor.layout);
  for (const Plane& plane : form.planes)
    arrays.push_back(fixed_shape(plane.resize).layout(form.tensors.front().layout.dtype));
  return arrays;
}

bool same_types(const InputForm& a, const InputForm& b) {
  return std::ranges::all_of(a.tensors, [&](const NamedLayout& tensor) {
    const NamedLayout* const other = find(b.tensors, tensor.name);
    return other != nullptr && other->layout.dtype == tensor.layout.dtype;
  });
}

bool same_arrays(const config::EnsembleSpec& spec, const OpenedInput& planned, const OpenedInput& other) {
  const std::vector<Plane> planes = planes_of(spec, planned.input);
  // Without planes, the workers resize what is in the arena: it must be the image of which they are told.
  if (planes.empty())
    return same_shapes(planned.source.tensors(), other.source.tensors()) &&
           (!config::resizes_pictures(other.input) ||
            std::ranges::all_of(spec.members, [](const auto& member) { return asked_by(member) == Resize{}; }));
  if (!other.input.tensors.empty()) return false;
  std::vector<std::optional<Resize>> made(planes.size());
  return std::ranges::all_of(spec.members, [&](const config::MemberSpec& member) {
    if (is_saved(facts_of(member.model.kind))) return true;
    std::optional<Resize>& plane = made[plane_of(planes, member, planned.input)];
    const Resize resize = resize_for(member, other.input);
    if (!plane) plane = resize;
    return *plane == resize && shape_for(member, other) == shape_for(member, planned);
  });
}

bool workers_prepare(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  return input.dataset == config::Dataset::folder ||
         std::any_of(spec.members.begin(), spec.members.end(),
                     [](const config::MemberSpec& member) { return member.input.has_value(); });
}

std::unique_ptr<Source> open_source(const config::InputSpec& input) {
  std::unique_ptr<Source> source = open_limited(input);
  if (!input.preprocess.mean.empty() || !input.preprocess.std.empty())
    source = images::normalised(std::move(source), input.preprocess.mean, input.preprocess.std);
  return source;
}

std::unique_ptr<Source> open_source(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  if (input.dataset == config::Dataset::memory && !spec.tasks.empty())
    throw Error(ErrorKind::usage, "there are no images to work on", "there are 'tasks', but no 'input'",
                "'tutti evaluate' uses the tasks; for this command add for example 'input: {dataset: digits}'");
  return workers_prepare(spec, input) ? open_limited(input) : open_source(input);
}

config::FoundSamples found_in(const Source& source) {
  const images::Tiling* const tiling = images::tiling_of(source);
  const images::PlaneSource* const part = dynamic_cast<const images::PlaneSource*>(&source);
  return {source.tensors(), source.count(), tiling != nullptr ? tiling->band_places() : 0,
          source.count() > 0 ? source.number_of(0) : 0, part != nullptr ? part->whole_count() : source.count()};
}

InputForm form_of(const Source& source, const config::EnsembleSpec& spec, const config::InputSpec& input) {
  return stored_form(found_in(source), spec, input);
}

InputForm input_form(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  if (input.dataset == config::Dataset::memory) return declared_form(spec, input);
  if (input.found) return stored_form(*input.found, spec, input);
  return form_of(*open_source(spec, input), spec, input);
}

InputForm api_form(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  try {
    return input_form(spec, input);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    const auto shape = config::known_shape(input);
    if (!shape)
      throw Error(error.kind(), error.message(), error.detail(),
                  input.tensors.empty()
                      ? "the shape of the images is in this file; if they come through the API, give the shape "
                        "instead: input={shape: [3, 224, 224]}"
                      : "the shapes of the tensors are in these files; if samples come through the API, give the "
                        "shapes instead: input={inputs: {x: {shape: [7]}}}");
    const bool has_bytes = input.dataset == config::Dataset::folder || input.dataset == config::Dataset::cifar10;
    const bool bytes = has_bytes && workers_prepare(spec, input);
    return {*shape, std::nullopt, bytes ? Dtype::uint8 : Dtype::float32, planes_of(spec, input)};
  }
}

void check_same_preparation(const config::EnsembleSpec& spec, const Source& train, const Source& test) {
  const bool in_training = workers_prepare(spec, spec.train_input);
  if (!in_training && !workers_prepare(spec, spec.input)) return;
  const InputForm now = form_of(train, spec, spec.train_input);
  const InputForm then = form_of(test, spec, spec.input);
  if (in_training == workers_prepare(spec, spec.input) && same_types(now, then) &&
      spec.input.preprocess == spec.train_input.preprocess &&
      same_arrays(spec, {spec.train_input, train}, {spec.input, test}))
    return;
  throw Error(
      ErrorKind::usage, "the training images and the test images would be prepared differently",
      fmt::format("{} ({}) and {} ({}); the workers prepare both as 'train.input' says", train.name(), types_text(now),
                  test.name(), types_text(then)),
      "give both inputs the same 'preprocess' and the same kind and size of images, or train and run separately");
}

namespace {

[[noreturn]] void refuse_floats(const Source& source) {
  throw Error(ErrorKind::usage, fmt::format("{} gives float32, but the ensemble takes images as bytes", source.name()),
              "its 'input' has bytes, from which each worker prepares its member's images",
              "give uint8, 0 to 255; an ensemble whose 'input' does not name a data set takes both");
}

bool is_one_image(const std::vector<NamedLayout>& tensors) {
  return tensors.size() == 1 && tensors.front().name == kImageTensor && image_shape(tensors.front().layout);
}

[[noreturn]] void refuse_samples(const Source& source, const InputForm& form) {
  const std::vector<NamedLayout> given = source.tensors();
  if (is_one_image(given) && is_one_image(form.tensors)) {
    if (given.front().layout.dims != form.tensors.front().layout.dims)
      throw Error(ErrorKind::usage,
                  fmt::format("{} has images of {}, but the ensemble takes {}", source.name(), sample_text(given),
                              sample_text(form.tensors)),
                  {}, "the ensemble's shape is that of its 'input', or 'input: {shape: [channels, height, width]}'");
    if (source.shape() != ImageShape{} && form.tensors.front().layout.dtype == Dtype::uint8) refuse_floats(source);
  }
  throw Error(ErrorKind::usage, fmt::format("{} has other samples than the ensemble takes", source.name()),
              fmt::format("it has {}; the ensemble takes {}", sample_text(given), sample_text(form.tensors)),
              "the ensemble takes the tensors of its 'input', by their names");
}

/// The tensors of a source in another order.
class Ordered final : public images::Forwarding {
 public:
  Ordered(Source& source, const std::vector<NamedLayout>& tensors) : Forwarding(source), tensors_(tensors) {
    for (const NamedLayout& behind : source.tensors())
      places_.push_back(static_cast<std::size_t>(find(tensors_, behind.name) - tensors_.data()));
  }

  std::vector<NamedLayout> tensors() const override { return tensors_; }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    std::vector<std::span<std::byte>> ordered;
    for (const std::size_t place : places_) ordered.push_back(tensors[place]);
    Forwarding::read_tensors(indices, ordered, labels);
  }

 private:
  const std::vector<NamedLayout> tensors_;
  std::vector<std::size_t> places_;  ///< by those of the source
};

}  // namespace

void check_fits(const Source& source, const InputForm& form) {
  const std::vector<NamedLayout> given = source.tensors();
  // Images of bytes can also be read as float32.
  const bool become_floats = source.has_bytes() && form.tensors.size() == 1 &&
                             form.tensors.front() == NamedLayout{kImageTensor, source.shape().layout()};
  if (!become_floats && !std::ranges::is_permutation(given, form.tensors)) refuse_samples(source, form);
}

FittedSource::FittedSource(Source& source, const InputForm& form) : source_(source) {
  const std::vector<Plane>& planes = form.planes;
  images::PlaneSource* decoding = images::decoding(source);
  if (planes.empty()) {
    check_fits(source, form);
    if (decoding != nullptr) decoding->choose_planes(std::vector<Resize>(1));  // another ensemble may have chosen
    if (form.tensors.size() > 1) made_ = std::make_unique<Ordered>(source, form.tensors);
    return;
  }
  if (decoding == nullptr) {
    if (source.shape() == ImageShape{}) refuse_samples(source, form);
    if (!source.has_bytes()) refuse_floats(source);
    auto made = images::as_pictures(source);
    decoding = made.get();
    made_ = std::move(made);
  }
  std::vector<Resize> asked;
  for (const Plane& plane : planes) asked.push_back(plane.asked);
  decoding->choose_planes(asked);
  const std::vector<ImageShape> shapes = decoding->plane_shapes();
  for (std::size_t p = 0; p < planes.size(); ++p) {
    const ImageShape wanted = fixed_shape(planes[p].resize);
    if (shapes[p] == wanted) continue;
    throw Error(
        ErrorKind::usage,
        fmt::format("{} gives images of {}, but the ensemble takes {}", source.name(), shapes[p].text(), wanted.text()),
        fmt::format("its 'input' is a folder, whose pictures become: {}", to_text(planes[p].resize)),
        "give images of this shape, or each member an 'input' with 'resize'");
  }
}

void read_images(Source& source, std::span<const std::uint64_t> indices, const SlotPlace& place, bool labels) {
  const auto count = static_cast<std::uint32_t>(indices.size());
  const auto view = [&](std::size_t array) { return slot_view(place.arena, place.layout, place.slot, count, array); };
  const SlotView<std::byte> first = view(0);
  const std::span<std::int64_t> wanted = labels ? first.labels : std::span<std::int64_t>{};
  if (images::PlaneSource* const decoding = images::decoding(source);
      decoding != nullptr && first.dtype == Dtype::uint8) {
    std::vector<std::span<std::uint8_t>> planes;
    for (std::size_t array = 0; array < place.layout.arrays.size(); ++array) planes.push_back(view(array).pixels());
    return decoding->read_planes(indices, planes, wanted);
  }
  if (first.dtype == Dtype::float32 && source.has_bytes()) return source.read(indices, first.floats(), wanted);
  std::vector<std::span<std::byte>> tensors;
  for (std::size_t array = 0; array < place.layout.arrays.size(); ++array) tensors.push_back(view(array).bytes);
  source.read_tensors(indices, tensors, wanted);
}

}  // namespace tutti
