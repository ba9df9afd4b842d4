#include "python/src/arrays.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <nanobind/stl/string.h>

#include <tutti/error.hpp>

namespace nb = nanobind;

namespace tutti::python {

const char* to_text(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32:
      return "float32";
    case Dtype::float16:
      return "float16";
    case Dtype::bfloat16:
      return "bfloat16";
    case Dtype::uint8:
      return "uint8";
    case Dtype::int32:
      return "int32";
    case Dtype::int64:
      return "int64";
    case Dtype::boolean:
      break;
  }
  return "bool";
}

namespace {

[[noreturn]] void refuse(std::string message, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, std::move(message), std::move(detail), std::move(hint));
}

std::string type_of(nb::handle object) { return nb::cast<std::string>(nb::inst_name(object)); }

std::string text_of(nb::handle object) { return nb::cast<std::string>(nb::str(object)); }

/// What messages call it, as a plural.
std::string called(const std::string& name) { return name.empty() ? "the samples" : "the samples of '" + name + "'"; }

/// Why the object does not give its memory, in its own words.
std::string own_words(nb::handle object) {
  if (!nb::hasattr(object, "__dlpack__")) return {};
  try {
    object.attr("__dlpack__")();
  } catch (nb::python_error& error) {
    return text_of(error.value());
  }
  return {};
}

[[noreturn]] void refuse_object(nb::handle object, const std::string& name) {
  if (nb::hasattr(object, "__dlpack__"))
    refuse(called(name) + " do not give their memory away", type_of(object) + ": " + own_words(object),
           "pass a plain array on the CPU, for example numpy.ascontiguousarray(array) or tensor.cpu().contiguous()");
  if (nb::isinstance<nb::list>(object) || nb::isinstance<nb::tuple>(object))
    refuse(called(name) + " are a list and not an array",
           "it holds " + std::string(nb::len(object) == 0 ? "nothing" : type_of(object[0])),
           "stack them into one array: numpy.stack(samples) or torch.stack(samples); encoded pictures are a list of "
           "bytes");
  refuse(called(name) + " are not an array", type_of(object),
         "pass a NumPy array, a torch tensor, another array that has __dlpack__, a dict of them, or a list of bytes");
}

std::optional<Dtype> dtype_of(nb::dlpack::dtype type) {
  using nb::dlpack::dtype_code;
  if (type.lanes != 1) return std::nullopt;
  const auto is = [&](dtype_code code, unsigned bits) {
    return type.code == static_cast<std::uint8_t>(code) && type.bits == bits;
  };
  if (is(dtype_code::Float, 32)) return Dtype::float32;
  if (is(dtype_code::Float, 16)) return Dtype::float16;
  if (is(dtype_code::Bfloat, 16)) return Dtype::bfloat16;
  if (is(dtype_code::UInt, 8)) return Dtype::uint8;
  if (is(dtype_code::Int, 32)) return Dtype::int32;
  if (is(dtype_code::Int, 64)) return Dtype::int64;
  if (is(dtype_code::Bool, 8)) return Dtype::boolean;
  return std::nullopt;
}

template <class Array>
bool is_contiguous(const Array& array) {
  if (array.size() == 0) return true;
  std::int64_t expected = 1;
  for (std::size_t axis = array.ndim(); axis-- > 0;) {
    if (array.shape(axis) != 1 && array.stride(axis) != expected) return false;
    expected *= static_cast<std::int64_t>(array.shape(axis));
  }
  return true;
}

std::string layout_text(const TensorLayout& layout) { return dims_text(layout.dims) + " of " + to_text(layout.dtype); }

/// Throws if one tensor of samples that are known does not fit: with what would make it fit.
void check_dims(const TensorLayout& given, std::size_t count, const NamedLayout& wanted) {
  const Dims& dims = given.dims;
  const Dims& want = wanted.layout.dims;
  if (dims == want) return;
  Dims whole{static_cast<std::uint32_t>(count)};
  whole.insert(whole.end(), dims.begin(), dims.end());
  const std::string message = "the samples are " + dims_text(dims) + " each, and the ensemble takes " + dims_text(want);
  if (whole == want)
    refuse("the array is one sample and not an array of samples", "its shape is " + dims_text(whole),
           "put an axis in front: array[None]");
  if (want.size() == 3 && dims == Dims{want[1], want[2], want[0]})
    refuse(message, "the channels are the last axis of the array, and the ensemble takes them first",
           "pass numpy.ascontiguousarray(images.transpose(0, 3, 1, 2)), or images.permute(0, 3, 1, 2).contiguous()");
  refuse(message, "the shape of the array is " + dims_text(whole),
         "the first axis counts the samples; the shape of one is that of the ensemble's 'input'");
}

/// A view of the array, and what keeps it.
std::pair<nb::ndarray<nb::ro>, TensorView> kept(nb::handle object, std::string name) {
  if (nb::hasattr(object, "is_neg") && nb::cast<bool>(object.attr("is_neg")()))
    refuse(called(name) + " are a lazily negated tensor", "its memory holds the values with the other sign",
           "pass tensor.resolve_neg()");
  nb::ndarray<nb::ro> array;
  if (!nb::try_cast(object, array)) refuse_object(object, name);
  if (array.device_type() != nb::device::cpu::value)
    refuse(called(name) + " are not in the memory of the CPU", type_of(object), "pass tensor.cpu()");
  const std::optional<Dtype> dtype = dtype_of(array.dtype());
  if (!dtype)
    refuse(called(name) + " have a type of values that Tutti does not take",
           nb::hasattr(object, "dtype") ? text_of(nb::object(object.attr("dtype"))) : type_of(object),
           "convert them: array.astype('float32') or tensor.float()");
  if (array.ndim() == 0)
    refuse(called(name) + " are a single number", {}, "the first axis of the array counts the samples: array[None]");
  if (!is_contiguous(array))
    refuse(called(name) + " are not in row-major order without gaps (C order)", {},
           "pass numpy.ascontiguousarray(array) or tensor.contiguous(), which copies them once");
  if (reinterpret_cast<std::uintptr_t>(array.data()) % size_of(*dtype) != 0)
    refuse(called(name) + " are not aligned in memory", {}, "pass array.copy()");
  Dims dims;
  for (std::size_t axis = 1; axis < array.ndim(); ++axis) dims.push_back(static_cast<std::uint32_t>(array.shape(axis)));
  const std::span bytes(static_cast<const std::byte*>(array.data()), array.size() * size_of(*dtype));
  TensorView view{NamedLayout{std::move(name), {*dtype, std::move(dims)}}, bytes};
  return {std::move(array), std::move(view)};
}

}  // namespace

Given::Given(nb::handle samples, const std::vector<NamedLayout>& inputs) {
  const bool sequence = nb::isinstance<nb::list>(samples) || nb::isinstance<nb::tuple>(samples);
  if (sequence && nb::len(samples) > 0 && nb::isinstance<nb::bytes>(samples[0]))
    view_ = of_pictures(samples);
  else if (nb::isinstance<nb::dict>(samples) || (nb::hasattr(samples, "keys") && !nb::hasattr(samples, "__dlpack__")))
    view_ = of_mapping(samples);
  else
    view_ = of_array(samples, inputs);
}

Given::View Given::of_pictures(nb::handle pictures) {
  nb::object kept = nb::steal(PySequence_Tuple(pictures.ptr()));  // the caller may change a list
  if (!kept.is_valid()) throw nb::python_error();
  std::vector<std::span<const std::byte>> files;
  for (const nb::handle picture : nb::borrow<nb::tuple>(kept)) {
    if (!nb::isinstance<nb::bytes>(picture))
      refuse("one of the encoded pictures is not bytes", type_of(picture), "pass bytes: file.read_bytes()");
    const auto bytes = nb::borrow<nb::bytes>(picture);
    files.push_back(std::as_bytes(std::span(bytes.c_str(), bytes.size())));
  }
  pictures_ = std::move(kept);
  return EncodedImages(std::move(files));
}

Given::View Given::of_mapping(nb::handle mapping) {
  std::vector<TensorView> tensors;
  for (const nb::handle name : nb::iter(mapping)) {
    if (!nb::isinstance<nb::str>(name))
      refuse("a name of the samples is not text", type_of(name), "pass {'name': array, ...}");
    auto [array, view] = kept(mapping[name], nb::cast<std::string>(name));
    arrays_.push_back(std::move(array));
    tensors.push_back(std::move(view));
  }
  return Samples(std::move(tensors));
}

Given::View Given::of_array(nb::handle object, const std::vector<NamedLayout>& inputs) {
  if (nb::isinstance<nb::bytes>(object))
    refuse("one encoded picture was given, and not a list of them", {}, "pass a list: [picture]");
  if (inputs.size() > 1) {
    std::string names;
    for (const NamedLayout& input : inputs) names += (names.empty() ? "'" : ", '") + input.name + "': ...";
    refuse("the ensemble takes several arrays by their names, and one was given", {}, "pass a dict: {" + names + "}");
  }
  auto [array, view] = kept(object, {});
  arrays_.push_back(std::move(array));
  view.tensor.name = inputs.empty() ? kImageTensor : inputs.front().name;
  const TensorLayout& layout = view.tensor.layout;
  if (!inputs.empty()) {
    check_dims(layout, arrays_.front().shape(0), inputs.front());
    const Dtype wanted = inputs.front().layout.dtype;
    const bool bytes_of_image = layout.dtype == Dtype::uint8 && view.tensor.name == kImageTensor;
    if (layout.dtype != wanted && !bytes_of_image)
      refuse("the samples are " + layout_text(layout) + ", and the ensemble takes " + to_text(wanted), {},
             std::string("convert them: array.astype('") + to_text(wanted) + "') or tensor.to(torch." +
                 to_text(wanted) + ")");
  }
  const std::optional<ImageShape> shape = image_shape(layout);
  if (!shape || view.tensor.name != kImageTensor) return Samples({view});
  const std::size_t values = view.bytes.size() / size_of(layout.dtype);
  if (layout.dtype == Dtype::float32)
    return Images(std::span(reinterpret_cast<const float*>(view.bytes.data()), values), *shape);
  if (layout.dtype == Dtype::uint8)
    return Images(std::span(reinterpret_cast<const std::uint8_t*>(view.bytes.data()), values), *shape);
  return Samples({view});
}

GivenArray::GivenArray(nb::handle array, std::string name) : GivenArray(kept(array, std::move(name))) {}

}  // namespace tutti::python
