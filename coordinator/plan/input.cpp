#include "coordinator/plan/input.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/log.hpp"
#include "config/input.hpp"
#include "images/sources.hpp"

namespace tutti {
namespace {

images::Split split_of(const config::InputSpec& input) {
  return input.split == config::Split::train ? images::Split::train : images::Split::test;
}

std::unique_ptr<Source> open_data_set(const config::InputSpec& input) {
  switch (input.dataset) {
    case config::Dataset::digits:
      return images::make_digits(split_of(input));
    case config::Dataset::cifar10:
      return images::make_cifar10(input.path, split_of(input));
    case config::Dataset::npy:
      return images::make_npy(input.images, input.labels,
                              input.layout == config::Layout::nhwc ? images::Layout::nhwc : images::Layout::nchw,
                              input.classes);
    case config::Dataset::folder:
      return images::make_folder(input.path, input.resize,
                                 {input.decode_threads, input.on_broken == OnBroken::skip, input.jpeg_scaling});
    case config::Dataset::random:
      return images::make_random(input.count, input.shape, input.classes, input.seed);
    case config::Dataset::memory:
      break;
  }
  throw Error(ErrorKind::usage, "there are no images to work on", "'input' does not name a data set",
              "add for example 'input: {dataset: digits}'; without it, images can come only through the API");
}

std::unique_ptr<Source> open_limited(const config::InputSpec& input) {
  std::unique_ptr<Source> source = open_data_set(input);
  if (input.skip > 0 && input.skip >= source->count())
    throw Error(ErrorKind::usage, fmt::format("'skip: {}' leaves no images", input.skip),
                fmt::format("{} has {}", source->name(), counted(source->count(), "image")), "make 'skip' smaller");
  if (input.skip > 0) source = images::without_first(std::move(source), input.skip);
  return input.limit ? images::limited(std::move(source), *input.limit) : std::move(source);
}

}  // namespace

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

InputForm input_form(const config::InputSpec& input) {
  if (input.dataset == config::Dataset::memory) return {input.shape, std::nullopt};
  const auto source = open_source(input);
  return {source->shape(), source->count()};
}

InputForm input_form(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  if (input.dataset == config::Dataset::memory) {
    const bool bytes = input.has_bytes && workers_prepare(spec, input);
    return {input.shape, std::nullopt, bytes ? PixelType::uint8 : PixelType::float32};
  }
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
                  "the shape of the images is in this file; if they come through the API, give the shape instead: "
                  "input={shape: [3, 224, 224]}");
    const bool has_bytes = input.dataset == config::Dataset::folder || input.dataset == config::Dataset::cifar10;
    const bool bytes = has_bytes && workers_prepare(spec, input);
    return {*shape, std::nullopt, bytes ? PixelType::uint8 : PixelType::float32};
  }
}

InputForm form_of(const Source& source, const config::EnsembleSpec& spec, const config::InputSpec& input) {
  const bool bytes = workers_prepare(spec, input) && source.has_bytes();
  return {source.shape(), source.count(), bytes ? PixelType::uint8 : PixelType::float32};
}

void say_skipped(const Source& source) {
  const std::vector<std::string> skipped = source.skipped();
  if (!skipped.empty())
    log::warning("left out {} of {} that cannot be read or decoded, as 'on_broken: skip' says; the first: {}",
                 counted(skipped.size(), "file"), source.name(), skipped.front());
  if (source.count() == 0)
    log::warning("{} has no images, so there is nothing to predict; see 'limit' and 'count' of its 'input'",
                 source.name());
  for (const std::string& remark : source.remarks()) log::warning("{}: {}", source.name(), remark);
}

void check_same_preparation(const config::EnsembleSpec& spec, const Source& train, const Source& test) {
  const bool in_training = workers_prepare(spec, spec.train_input);
  if (!in_training && !workers_prepare(spec, spec.input)) return;
  const InputForm now = form_of(train, spec, spec.train_input);
  const InputForm then = form_of(test, spec, spec.input);
  if (in_training == workers_prepare(spec, spec.input) && now.pixels == then.pixels &&
      spec.input.preprocess == spec.train_input.preprocess)
    return;
  throw Error(ErrorKind::usage, "the training images and the test images would be prepared differently",
              fmt::format("{} ({}) and {} ({}); the workers prepare both as 'train.input' says", train.name(),
                          to_name(now.pixels), test.name(), to_name(then.pixels)),
              "give both inputs the same 'preprocess' and the same kind of images, or train and run separately");
}

void check_shape(const Source& source, const ImageShape& wanted) {
  if (source.shape() == wanted) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} has images of {}, but the ensemble takes {}", source.name(), source.shape().text(),
                          wanted.text()),
              {}, "the ensemble's shape is that of its 'input', or 'input: {shape: [channels, height, width]}'");
}

void check_fits(const Source& source, const ArenaLayout& arena) {
  check_shape(source, arena.shape);
  if (arena.pixels == PixelType::float32 || source.has_bytes()) return;
  throw Error(ErrorKind::usage, fmt::format("{} gives float32, but the ensemble takes images as bytes", source.name()),
              "its 'input' has bytes, from which each worker prepares its member's images",
              "give uint8, 0 to 255; an ensemble whose 'input' does not name a data set takes both");
}

void read_images(Source& source, std::span<const std::uint64_t> indices, const SlotView<std::byte>& slot, bool labels) {
  const std::span<std::int64_t> wanted = labels ? slot.labels : std::span<std::int64_t>{};
  if (!slot.bytes.empty())
    source.read_bytes(indices, slot.bytes, wanted);
  else
    source.read(indices, slot.pixels, wanted);
}

}  // namespace tutti
