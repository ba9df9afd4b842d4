#include "common/array_path.hpp"

namespace tutti {

ArrayFormat format_of_array(const std::filesystem::path& file) {
  std::string ending = file.extension().string();
  for (char& letter : ending)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return ending == ".npz" ? ArrayFormat::npz : ending == ".csv" ? ArrayFormat::csv : ArrayFormat::npy;
}

ArrayPath array_path(const std::filesystem::path& written) {
  const std::string text = written.string();
  for (std::size_t colon = text.find(':'); colon != std::string::npos; colon = text.find(':', colon + 1))
    if (std::string file = text.substr(0, colon); format_of_array(file) != ArrayFormat::npy)
      return {std::move(file), text.substr(colon + 1)};
  return {written, {}};
}

}  // namespace tutti
