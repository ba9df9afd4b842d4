#include "coordinator/input.hpp"

#include <tutti/error.hpp>

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
    case config::Dataset::random:
      return images::make_random(input.count, input.shape, input.classes, input.seed);
    case config::Dataset::memory:
      break;
  }
  throw Error(ErrorKind::usage, "there are no images to work on", "'input' names no data set",
              "add for example 'input: {dataset: digits}'; without one, only the API can give images");
}

}  // namespace

std::unique_ptr<Source> open_source(const config::InputSpec& input) {
  std::unique_ptr<Source> source = open_data_set(input);
  if (input.skip > 0) source = images::without_first(std::move(source), input.skip);
  if (input.limit) source = images::limited(std::move(source), *input.limit);
  if (!input.preprocess.mean.empty() || !input.preprocess.std.empty())
    source = images::normalised(std::move(source), input.preprocess.mean, input.preprocess.std);
  return source;
}

InputForm input_form(const config::InputSpec& input) {
  if (input.dataset == config::Dataset::memory) return {input.shape, std::nullopt};
  const auto source = open_source(input);
  return {source->shape(), source->count()};
}

}  // namespace tutti
