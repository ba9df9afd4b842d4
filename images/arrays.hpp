// Arrays in files whose first axis counts the samples: an .npy, an entry of an .npz ("samples.npz:image"), or the
// numbers of a .csv, all of them or one column ("t.csv:age"). What the values mean is for the sources to say.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "images/npy.hpp"
#include "images/record_file.hpp"
#include "images/sources.hpp"

namespace tutti::images {

struct OpenArray {
  InputFile file;
  NpyHeader header;
  std::string remark{};  ///< for Source::remarks(); may be empty
};

/// `left_out` is a column of a table that is not one of its numbers, because it holds the labels. Throws Error(usage)
/// if there is no such array.
OpenArray open_array(const std::filesystem::path& written, const std::string& left_out = {});

/// Throws Error(usage): "<path> cannot be used as <what>".
[[noreturn]] void refuse_array(const std::filesystem::path& path, std::string_view what, std::string detail,
                               std::string_view hint);

/// 'f', 'i', 'u', 'b': what the elements are, whatever their size and order.
char kind_of_elements(const NpyHeader& header);

/// Checks type, order, rank and size of an array, and opens its rows (the first axis) as records. Throws Error(usage).
RecordFile open_rows(OpenArray array, std::string_view what, std::span<const std::string_view> types, std::size_t rank,
                     std::string_view hint);

/// The shape of the images of an array, or its rows as images. Both throw Error(usage) if it holds no images.
ImageShape shape_of_images(const OpenArray& array, Layout layout);
RecordFile open_images(OpenArray array);

/// The layout of the tensors of an array, or its rows as tensors. Both throw Error(usage) if it holds none.
TensorLayout layout_of_rows(const OpenArray& array);
RecordFile open_tensors(OpenArray array);

inline constexpr std::string_view kFloat64 = "<f8";
/// What a user should know who gives float64.
std::string float64_remark(const std::filesystem::path& path);
/// Makes float32 of float64 values of a sample. Throws Error(usage) if float32 cannot hold one.
void narrow(const std::filesystem::path& path, std::uint64_t sample, std::span<const std::byte> wide,
            std::span<std::byte> out);
/// Any other byte than 0 and 1 would be an invalid truth.
void make_truths(std::span<std::byte> bytes);

}  // namespace tutti::images
