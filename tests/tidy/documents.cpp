// Whether the links of documents lead somewhere.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "tests/tidy/checks.hpp"

namespace tutti::tidy {
namespace {

bool is_document(std::string_view path) { return path.ends_with(".md"); }

/// As GitHub makes it of a heading: "## The `tutti plan`" is "the-tutti-plan".
std::string anchor_of(std::string_view heading) {
  std::string anchor;
  for (const char letter : heading) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == ' ')
      anchor += '-';
    else if (byte >= 0x80 || std::isalnum(byte) != 0 || letter == '-' || letter == '_')
      anchor += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
  }
  return anchor;
}

/// The lines of a document with the blocks of code blanked out.
std::vector<std::string> prose_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  bool code = false;
  for (std::string line; std::getline(stream, line);) {
    const bool fence = line.starts_with("```");
    lines.push_back(code || fence ? std::string() : line);
    code = code != fence;
  }
  return lines;
}

std::set<std::string> anchors_of(const std::string& text) {
  static const std::regex link("\\[([^\\]]*)\\]\\([^)]*\\)");
  std::set<std::string> anchors;
  std::map<std::string, int> times;
  for (const std::string& line : prose_of(text)) {
    const std::size_t begin = line.find_first_not_of('#');
    if (begin == 0 || begin == line.npos || line[begin] != ' ') continue;
    const std::string anchor = anchor_of(std::regex_replace(line.substr(begin + 1), link, "$1"));
    const int before = times[anchor]++;
    anchors.insert(before == 0 ? anchor : fmt::format("{}-{}", anchor, before));
  }
  return anchors;
}

}  // namespace

Complaints check_documents(const File& file, const TextOf& text_of) {
  // In a document a link is relative to it; elsewhere a page is named from the root.
  static const std::regex links("\\]\\(([^)\\s]+)\\)");
  static const std::regex names("(?:^|[^A-Za-z_/])(docs/[A-Za-z0-9_/.-]+\\.md(?:#[a-z0-9_-]+)?)");
  static const std::regex placeholder("@[A-Z][A-Z0-9]*@");
  Complaints complaints;
  const bool document = is_document(file.path);
  const std::vector<std::string> lines = document ? prose_of(file.text) : std::vector{file.text};
  for (std::size_t number = 0; number < lines.size(); ++number) {
    const std::string& line = lines[number];
    const auto complain = [&](const std::string& what) {
      complaints.push_back(fmt::format("{}:{}: {}", file.path, number + 1, what));
    };
    const std::regex& found = document ? links : names;
    for (std::sregex_iterator one(line.begin(), line.end(), found), end; one != end; ++one) {
      const std::string link = (*one)[1];
      if (link.find(':') != link.npos) continue;  // of another site
      const std::string page = link.substr(0, link.find('#'));
      const std::filesystem::path folder = document ? std::filesystem::path(file.path).parent_path() : "";
      const std::string path = page.empty() ? file.path : (folder / page).lexically_normal().generic_string();
      const std::string anchor = page.size() < link.size() ? link.substr(page.size() + 1) : "";
      const auto text = text_of(path);
      if (!text)
        complain(fmt::format("'{}' leads nowhere", link));
      else if (!anchor.empty() && is_document(path) && !anchors_of(*text).contains(anchor))
        complain(fmt::format("'{}' leads to a heading that is not there", link));
    }
    std::smatch left;
    if (document && std::regex_search(line, left, placeholder)) complain(fmt::format("{} was left", left.str()));
  }
  return complaints;
}

}  // namespace tutti::tidy
