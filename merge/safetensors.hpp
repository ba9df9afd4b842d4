// The safetensors file format, read and written: an 8-byte little-endian header length, a JSON header, raw
// little-endian data (https://github.com/huggingface/safetensors#format). No LibTorch; the tensors are bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::merge {

/// All types of the format. Those from c64 on can be in a file, but nothing computes with them.
enum class Dtype {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  u64,
  u32,
  u16,
  c64,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  f6_e2m3,
  f6_e3m2,
  f4,
};

/// Bits per element: 4 or more, and not always whole bytes.
std::size_t bits_of(Dtype dtype);
/// Bytes per element of a type that is supported.
std::size_t size_of(Dtype dtype);
/// Whether tensors of this type can be used.
bool is_supported(Dtype dtype);
/// The format's name: "F32", "BF16", ...
std::string_view dtype_name(Dtype dtype);

/// For messages: "[64, 3, 3, 3]".
std::string shape_text(std::span<const std::int64_t> shape);

/// A tensor that does not own its bytes. Row-major.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;  ///< empty: a scalar
  std::span<const std::byte> bytes;
};

/// A safetensors file read into memory (copied, not mapped: a file that another program truncates must not raise
/// SIGBUS in a worker). Copies and moves like a value.
class Safetensors {
 public:
  /// Throws Error(usage) that names the file: missing, a Git LFS pointer, too short, a header that is not JSON or too
  /// large, a dtype that the format does not have, offsets outside the file, overlapping or not matching dtype and
  /// shape. A tensor that safetensors.torch.save_model() left out because it is tied to another is there again.
  static Safetensors read(const std::filesystem::path& file);
  /// The same from the first byte of an open file; its position is neither used nor changed. `name` is its name in
  /// errors. The caller keeps the descriptor.
  static Safetensors read(int fd, const std::string& name);

  const std::vector<std::string>& names() const noexcept { return names_; }  ///< sorted
  bool contains(std::string_view name) const;
  /// Throws Error(usage) naming the file and the nearest name if there is no such tensor.
  TensorView tensor(std::string_view name) const;
  /// `__metadata__`.
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

 private:
  struct Entry {
    Dtype dtype;
    std::vector<std::int64_t> shape;
    std::size_t begin;
    std::size_t end;
  };
  static Safetensors read(const class FileReader& reader);

  std::string file_;
  std::vector<std::byte> data_;
  std::vector<std::string> names_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Writes `tensors` (sorted by name) and `metadata` atomically: the file is complete and synced, or as it was before.
/// The same tensors give the same bytes. Throws Error(failed) naming the file (no space, no permission) or
/// Error(usage) (two tensors of one name, bytes that do not match dtype and shape).
void write_safetensors(const std::filesystem::path& file, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// Takes the bytes of a file, front to back.
using ByteSink = std::function<void(std::span<const std::byte>)>;

/// Gives the bytes of the same file to `sink`: the header with its length first, then a piece for each tensor. `name`
/// is the file's name in the same Error(usage), which comes before the first byte. Throws what `sink` throws.
void write_safetensors(const ByteSink& sink, const std::string& name, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace tutti::merge
