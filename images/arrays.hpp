// Arrays in files whose first axis counts the samples: an .npy, an entry of an .npz ("samples.npz:image"), or the
// numbers of a .csv, all of them or one column ("t.csv:age"). What the values mean is for the sources to say.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "images/npy.hpp"
#include "images/record_file.hpp"

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

}  // namespace tutti::images
