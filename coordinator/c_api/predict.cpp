// Predicting and submitting in the C API: samples in memory become views.
#include <tutti/tutti.h>

#include <chrono>
#include <cstring>
#include <future>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/c_api/guard.hpp"

namespace tutti::c_api {
namespace {

static_assert(TUTTI_FLOAT32 == static_cast<int>(Dtype::float32) && TUTTI_FLOAT16 == static_cast<int>(Dtype::float16));
static_assert(TUTTI_BFLOAT16 == static_cast<int>(Dtype::bfloat16) && TUTTI_UINT8 == static_cast<int>(Dtype::uint8));
static_assert(TUTTI_INT32 == static_cast<int>(Dtype::int32) && TUTTI_INT64 == static_cast<int>(Dtype::int64));
static_assert(TUTTI_BOOL == static_cast<int>(Dtype::boolean));

/// A program in C may have put any number there, which C++ must not load as an enumerator.
Dtype dtype_of(const tutti_dtype& dtype, const char* function) {
  unsigned number = 0;
  static_assert(sizeof dtype == sizeof number);
  std::memcpy(&number, &dtype, sizeof number);
  if (number > static_cast<unsigned>(TUTTI_BOOL))
    throw Error(ErrorKind::usage, fmt::format("{}() was given a 'dtype' that does not exist", function),
                fmt::format("it is {}", number), "use a tutti_dtype, such as TUTTI_FLOAT32");
  return static_cast<Dtype>(number);
}

/// Of `count` samples of so many bytes each. Throws Error(usage) if no memory can hold them.
std::span<const std::byte> memory_of(const void* data, std::uint64_t count, std::uint64_t bytes, const char* function,
                                     const char* parameter) {
  std::uint64_t size = 0;
  if (__builtin_mul_overflow(count, bytes, &size) ||
      size > static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max()))
    throw Error(ErrorKind::usage, fmt::format("{}() was given more samples than fit into memory", function),
                fmt::format("{} of {} bytes each", count, bytes));
  if (size > 0) given(data, function, parameter);
  return {static_cast<const std::byte*>(data), size};
}

/// The product of the sizes, in bytes of a value. Throws Error(usage) if it is too large for a number.
std::uint64_t bytes_of(std::span<const std::uint32_t> dims, Dtype dtype, const char* function) {
  std::uint64_t bytes = size_of(dtype);
  for (const std::uint32_t size : dims)
    if (__builtin_mul_overflow(bytes, size, &bytes))
      throw Error(ErrorKind::usage, fmt::format("{}() was given sizes whose product is too large", function));
  return bytes;
}

template <class Value>
std::span<const Value> values_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const Value*>(bytes.data()), bytes.size() / sizeof(Value)};
}

Images view_of(const tutti_images* images, const char* function) {
  given(images, function, "images");
  const ImageShape shape{images->channels, images->height, images->width};
  const Dtype dtype = dtype_of(images->dtype, function);
  if (dtype != Dtype::float32 && dtype != Dtype::uint8)
    throw Error(ErrorKind::usage, fmt::format("{}() takes images of TUTTI_FLOAT32 or TUTTI_UINT8", function), {},
                "convert them, or describe them as tensors");
  const std::uint64_t bytes = bytes_of(std::vector{shape.channels, shape.height, shape.width}, dtype, function);
  if (bytes == 0 && images->count > 0)
    throw Error(ErrorKind::usage, fmt::format("{}() was given images of {} channels, {} rows and {} columns", function,
                                              shape.channels, shape.height, shape.width));
  const auto pixels = memory_of(images->pixels, images->count, bytes, function, "pixels");
  if (dtype == Dtype::uint8) return {values_of<std::uint8_t>(pixels), shape};
  return {values_of<float>(pixels), shape};
}

EncodedImages view_of(const tutti_encoded* pictures, std::size_t count, const char* function) {
  if (count > 0) given(pictures, function, "pictures");
  std::vector<std::span<const std::byte>> files;
  for (const tutti_encoded& picture : std::span(pictures, count))
    files.push_back(memory_of(picture.bytes, picture.size, 1, function, "bytes"));
  return EncodedImages(std::move(files));
}

Samples view_of(const tutti_tensor* tensors, std::size_t count, std::uint64_t samples, const char* function) {
  if (count > 0) given(tensors, function, "tensors");
  std::vector<TensorView> views;
  for (const tutti_tensor& tensor : std::span(tensors, count)) {
    const Dtype dtype = dtype_of(tensor.dtype, function);
    if (tensor.rank > kMaxRank)
      throw Error(ErrorKind::usage, fmt::format("{}() was given a tensor of rank {}", function, tensor.rank), {},
                  fmt::format("a sample has 0 to {} sizes", kMaxRank));
    if (tensor.rank > 0) given(tensor.dims, function, "dims");
    const std::span dims(tensor.dims, tensor.rank);
    const std::uint64_t bytes = bytes_of(dims, dtype, function);
    views.emplace_back(NamedLayout{given(tensor.name, function, "name"), {dtype, Dims(dims.begin(), dims.end())}},
                       memory_of(tensor.data, samples, bytes, function, "data"));
  }
  return Samples(std::move(views));
}

SubmitOptions options_of(const tutti_submit_options* given_options, const char* function) {
  const tutti_submit_options options = read_options<tutti_submit_options>(
      given_options, TUTTI_SUBMIT_OPTIONS_INIT, function, "tutti_submit_options", "TUTTI_SUBMIT_OPTIONS_INIT");
  SubmitOptions result;
  const auto now = std::chrono::steady_clock::now();
  const auto left = static_cast<std::uint64_t>((now.max() - now).count());
  if (options.timeout_ns > 0)
    result.deadline = now + std::chrono::nanoseconds(std::min<std::uint64_t>(options.timeout_ns, left));
  result.priority = options.priority;
  if (options.stop != nullptr) result.stop = object_of(options.stop, function)->get_token();
  if (options.refuse_when_full != 0) result.when_full = WhenFull::refuse;
  return result;
}

/// Neither throws nor leaks: without memory for the result it calls back with an error that takes none.
void call_back(tutti_on_done done, void* user, std::future<Predictions> future) noexcept {
  tutti_predictions* predictions = nullptr;
  tutti_error* error = nullptr;
  const tutti_code code =
      guarded(&error, __func__, [&](const char*) { give(&predictions, std::make_shared<Predictions>(future.get())); });
  done(user, code == TUTTI_OK ? predictions : nullptr, error);
}

template <class View>
void predict(tutti_ensemble* ensemble, const View& view, tutti_predictions** predictions, const char* function) {
  *given(predictions, function, "predictions") = nullptr;
  const HeldEnsemble::Use use(object_of(ensemble, function));
  InCallback::refuse_waiting(*use.held(), function);
  give(predictions, std::make_shared<Predictions>(use->predict(view)));
}

template <class View>
void submit(tutti_ensemble* ensemble, View&& view, const tutti_submit_options* options, tutti_on_done done, void* user,
            const char* function) {
  if (done == nullptr) throw Error(ErrorKind::usage, fmt::format("{}() was given NULL for 'done'", function));
  const HeldEnsemble::Use use(object_of(ensemble, function));
  // The ensemble calls back before it is destroyed, so the reference holds.
  use->submit(
      view,
      [done, user, &held = *use.held()](std::future<Predictions> future) {
        const InCallback mark(held, InCallback::Of::done);
        call_back(done, user, std::move(future));
      },
      options_of(options, function));
}

tutti_leased_tensor tensor_of(const Lease& lease, std::size_t index, const char* function) {
  const std::vector<LeasedTensor>& all = lease.tensors();
  if (index >= all.size())
    throw Error(ErrorKind::usage, fmt::format("{}() was asked for tensor {} of {}", function, index, all.size()), {},
                "tensors are counted from 0; tutti_lease_tensor_count() says how many there are");
  const auto& [layout, bytes] = all[index];
  const Dims& dims = layout.layout.dims;
  return {layout.name.c_str(), static_cast<tutti_dtype>(layout.layout.dtype), bytes.data(), bytes.size(), dims.data(),
          dims.size()};
}

}  // namespace
}  // namespace tutti::c_api

using namespace tutti::c_api;

extern "C" {

tutti_code tutti_predict_images(tutti_ensemble* ensemble, const tutti_images* images, tutti_predictions** predictions,
                                tutti_error** error) {
  return guarded(error, __func__,
                 [&](const char* function) { predict(ensemble, view_of(images, function), predictions, function); });
}

tutti_code tutti_predict_encoded(tutti_ensemble* ensemble, const tutti_encoded* pictures, size_t count,
                                 tutti_predictions** predictions, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    predict(ensemble, view_of(pictures, count, function), predictions, function);
  });
}

tutti_code tutti_predict_tensors(tutti_ensemble* ensemble, const tutti_tensor* tensors, size_t tensor_count,
                                 uint64_t samples, tutti_predictions** predictions, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    predict(ensemble, view_of(tensors, tensor_count, samples, function), predictions, function);
  });
}

tutti_code tutti_submit_images(tutti_ensemble* ensemble, const tutti_images* images,
                               const tutti_submit_options* options, tutti_on_done done, void* user,
                               tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    submit(ensemble, view_of(images, function), options, done, user, function);
  });
}

tutti_code tutti_submit_encoded(tutti_ensemble* ensemble, const tutti_encoded* pictures, size_t count,
                                const tutti_submit_options* options, tutti_on_done done, void* user,
                                tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    submit(ensemble, view_of(pictures, count, function), options, done, user, function);
  });
}

tutti_code tutti_submit_tensors(tutti_ensemble* ensemble, const tutti_tensor* tensors, size_t tensor_count,
                                uint64_t samples, const tutti_submit_options* options, tutti_on_done done, void* user,
                                tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    submit(ensemble, view_of(tensors, tensor_count, samples, function), options, done, user, function);
  });
}

tutti_code tutti_submit_lease(tutti_ensemble* ensemble, tutti_lease* lease, const tutti_submit_options* options,
                              tutti_on_done done, void* user, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const HeldLease::Use use(object_of(lease, function));
    submit(ensemble, use.lease(), options, done, user, function);
  });
}

tutti_code tutti_lease_create(tutti_ensemble* ensemble, uint64_t count, const tutti_submit_options* options,
                              tutti_lease** lease, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    *given(lease, function, "lease") = nullptr;
    const HeldEnsemble::Use use(object_of(ensemble, function));
    give(lease, std::make_shared<HeldLease>(use->lease(count, options_of(options, function))));
  });
}

tutti_code tutti_lease_tensor_count(const tutti_lease* lease, size_t* count, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const HeldLease::Use use(object_of(lease, function));
    *given(count, function, "count") = use.lease().tensors().size();
  });
}

tutti_code tutti_lease_tensor(const tutti_lease* lease, size_t index, tutti_leased_tensor* tensor,
                              tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const HeldLease::Use use(object_of(lease, function));
    *given(tensor, function, "tensor") = tensor_of(use.lease(), index, function);
  });
}

tutti_code tutti_lease_free(tutti_lease* lease, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { take_object(lease, function); });
}

tutti_code tutti_stop_create(tutti_stop** stop, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    *given(stop, function, "stop") = nullptr;
    give(stop, std::make_shared<std::stop_source>());
  });
}

tutti_code tutti_stop_request(tutti_stop* stop, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { object_of(stop, function)->request_stop(); });
}

tutti_code tutti_stop_free(tutti_stop* stop, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { take_object(stop, function); });
}
}
