// Samples that Python objects hold: NumPy arrays, tensors of torch, and anything else that speaks DLPack or the buffer
// protocol; or encoded pictures as bytes. Nothing is copied: the objects are kept, and their memory is read in place.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <tutti/encoded.hpp>
#include <tutti/images.hpp>
#include <tutti/samples.hpp>
#include <tutti/tensor.hpp>

namespace tutti::python {

/// As NumPy calls it: "float32".
const char* to_text(Dtype dtype);

/// A view of samples, and what keeps its memory. Made and destroyed with the GIL.
class Given {
 public:
  using View = std::variant<Images, EncodedImages, Samples>;

  /// `samples`: an array, whose first axis counts them; a mapping from names to such arrays; or a list or tuple of
  /// bytes, each an encoded picture. `inputs` are those of the ensemble (Ensemble::inputs()). Throws Error(usage) that
  /// says what to do about an object of another kind, and about arrays whose memory cannot be read in place.
  Given(nanobind::handle samples, const std::vector<NamedLayout>& inputs);

  const View& view() const noexcept { return view_; }

 private:
  using Array = nanobind::ndarray<nanobind::ro>;

  View of_pictures(nanobind::handle pictures);
  View of_mapping(nanobind::handle mapping);
  View of_array(nanobind::handle object, const std::vector<NamedLayout>& inputs);
  std::vector<Array> arrays_;
  nanobind::object pictures_;
  View view_;
};

/// One array, such as labels.
class GivenArray {
 public:
  /// Throws Error(usage) as Given does.
  GivenArray(nanobind::handle array, std::string name);
  const TensorView& view() const noexcept { return view_; }

 private:
  explicit GivenArray(std::pair<nanobind::ndarray<nanobind::ro>, TensorView> kept)
      : array_(std::move(kept.first)), view_(std::move(kept.second)) {}

  nanobind::ndarray<nanobind::ro> array_;
  TensorView view_;
};

}  // namespace tutti::python
