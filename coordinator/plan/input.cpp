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

images::Decoding decoding_of(const config::InputSpec& input) {
  return {input.decode_threads, input.jpeg_scaling, input.orientation};
}

images::FolderReading reading_of(const config::InputSpec& input) {
  return {decoding_of(input), input.on_broken == OnBroken::skip, labels_of(input)};
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
  if (input.tensors.empty()) return images::open_large_images(input.images, layout_of(input), labels_of(input));
  return images::open_large_array(files_of_tensors(input).front(), labels_of(input));
}

/// `skip` and `limit` count inputs, not their tiles.
std::unique_ptr<Source> open_tiled(const config::InputSpec& input) {
  std::unique_ptr<images::LargeInputs> inputs = open_large(input);
  check_skip(input, *inputs);
  const std::uint64_t count = input.limit.value_or(inputs->count());
  return images::tiled(std::move(inputs), *input.tiles, input.skip, count);
}

std::unique_ptr<Source> open_limited(const config::InputSpec& input) {
  if (input.tiles && input.dataset != config::Dataset::memory) return open_tiled(input);
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

InputForm with_reading(InputForm form, const config::InputSpec& input) {
  form.decoding = decoding_of(input);
  form.tiles = input.tiles;
  return form;
}

/// What of the samples that were found is in the arena: images that no worker prepares are float32 there.
InputForm stored_form(config::FoundSamples found, const config::EnsembleSpec& spec, const config::InputSpec& input) {
  if (input.tensors.empty() && !workers_prepare(spec, input))
    for (NamedLayout& image : found.tensors) image.layout.dtype = Dtype::float32;
  InputForm form{std::move(found.tensors), found.count, planes_of(spec, input)};
  form.band_places = found.band_places;
  form.first = found.first;
  form.whole = found.whole;
  form.held_score_bytes = found.held_score_bytes;
  return with_reading(std::move(form), input);
}

/// Of samples that come through the API and are declared.
InputForm declared_form(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  if (auto tensors = config::known_tensors(input)) return with_reading({std::move(*tensors), std::nullopt}, input);
  const bool bytes = (input.has_bytes || config::resizes_pictures(input)) && workers_prepare(spec, input);
  return with_reading({input.shape, std::nullopt, bytes ? Dtype::uint8 : Dtype::float32, planes_of(spec, input)},
                      input);
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
    const bool known = std::ranges::find(planes, resize, &Plane::resize) != planes.end();
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
  return input.dataset == config::Dataset::folder || config::resizes_pictures(input) ||
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
                  input.tiles ? "the shapes of the inputs are in this file; if they come through the API, give their "
                                "channels and the size of a tile instead: input={shape: [3, 512, 512], tiles: {size: "
                                "512}}"
                  : input.tensors.empty()
                      ? "the shape of the images is in this file; if they come through the API, give the shape "
                        "instead: input={shape: [3, 224, 224]}"
                      : "the shapes of the tensors are in these files; if samples come through the API, give the "
                        "shapes instead: input={inputs: {x: {shape: [7]}}}");
    const bool has_bytes = input.dataset == config::Dataset::folder || input.dataset == config::Dataset::cifar10;
    const bool bytes = has_bytes && workers_prepare(spec, input);
    return with_reading({*shape, std::nullopt, bytes ? Dtype::uint8 : Dtype::float32, planes_of(spec, input)}, input);
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

}  // namespace tutti
