#include "tests/integration/programs.hpp"

namespace tutti::test {

std::vector<std::string> Workplace::command(std::vector<std::string> words) {
  words.insert(words.begin(), TUTTI_PROGRAM);
  return words;
}

}  // namespace tutti::test
