#include "python/src/leased.hpp"

#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace tutti::python {
namespace {

nb::dlpack::dtype dlpack_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32:
      return nb::dtype<float>();
    case Dtype::float16:
      return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float), 16, 1};
    case Dtype::bfloat16:  // NumPy has no such type
      return nb::dtype<std::uint16_t>();
    case Dtype::uint8:
      return nb::dtype<std::uint8_t>();
    case Dtype::int32:
      return nb::dtype<std::int32_t>();
    case Dtype::int64:
      return nb::dtype<std::int64_t>();
    case Dtype::boolean:
      break;
  }
  return nb::dtype<bool>();
}

/// Of count x dims, which `owner` keeps mapped.
nb::object array_over(const LeasedTensor& tensor, std::uint32_t count, nb::handle owner) {
  std::vector<std::size_t> shape{count};
  shape.insert(shape.end(), tensor.tensor.layout.dims.begin(), tensor.tensor.layout.dims.end());
  return nb::cast(nb::ndarray<nb::numpy>(tensor.bytes.data(), shape.size(), shape.data(), owner, nullptr,
                                         dlpack_of(tensor.tensor.layout.dtype)));
}

}  // namespace

Leased::Leased(Lease lease) : process_(::getpid()), lease_(std::make_unique<Lease>(std::move(lease))) {}

Leased::~Leased() {
  if (is_forked()) static_cast<void>(lease_.release());  // its slot is the parent's
}

bool Leased::is_forked() const noexcept { return ::getpid() != process_; }

void Leased::give_back() noexcept {
  if (!is_forked()) lease_->give_back();
}

nb::dict Leased::arrays() const {
  if (is_forked())
    throw Error(ErrorKind::usage, "this lease belongs to the process that made it",
                "process " + std::to_string(::getpid()) + " was forked from process " + std::to_string(process_),
                "write the samples in the process that has the ensemble");
  using Memory = std::shared_ptr<const void>;
  const nb::capsule owner(new Memory(lease_->memory()),
                          [](void* memory) noexcept { delete static_cast<Memory*>(memory); });
  nb::dict arrays;
  for (const LeasedTensor& tensor : lease_->tensors())
    arrays[tensor.tensor.name.c_str()] = array_over(tensor, count(), owner);
  return arrays;
}

void bind_leased(nb::module_& module) {
  nb::class_<Leased>(module, "Leased", "What tutti.Lease holds.")
      .def("arrays", &Leased::arrays, "Arrays to write to, by the names of the tensors.")
      .def("give_back", &Leased::give_back, "Gives the memory back; nothing will be submitted.")
      .def_prop_ro("count", &Leased::count, "How many samples.")
      .def_prop_ro("open", &Leased::open, "Whether samples can be written and submitted.");
}

}  // namespace tutti::python
