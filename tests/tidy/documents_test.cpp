// The checks of prose and of links notice what is wrong.
#include <doctest/doctest.h>

#include "tests/tidy/checks.hpp"

namespace tutti::tidy {

TEST_CASE("a link that leads nowhere and a gap are reported with their line") {
  const auto text_of = [](const std::string& path) -> std::optional<std::string> {
    if (path == "docs/a.md") return "# One\n\n```\n# no heading\n```\n\n## The `b`, and [c](x.md)\n\n## One\n";
    return path == "docs" ? std::optional<std::string>("") : std::nullopt;
  };
  const auto check = [&](const std::string& path, const std::string& text) {
    return check_documents({path, text}, text_of);
  };
  CHECK(check("docs/b.md", "[a](a.md) [a](a.md#one) [a](a.md#one-1) [a](a.md#the-b-and-c) [d](../docs)\n").empty());
  CHECK(check("README.md", "[a](docs/a.md) [web](https://x.org/y.md)\n```\n[a](no.md)\n```\n").empty());
  CHECK(check("docs/b.md", "\n[a](none.md)\n") == Complaints{"docs/b.md:2: 'none.md' leads nowhere"});
  CHECK(check("docs/b.md", "[a](a.md#no-heading)\n") ==
        Complaints{"docs/b.md:1: 'a.md#no-heading' leads to a heading that is not there"});
  CHECK(check("docs/a.md", "[a](#two)\n") == Complaints{"docs/a.md:1: '#two' leads to a heading that is not there"});
  CHECK(check("a.hpp", "// as docs/a.md#one says\n").empty());
  CHECK(check("a.hpp", "// as docs/none.md says\n") == Complaints{"a.hpp:1: 'docs/none.md' leads nowhere"});
  CHECK(check("docs/b.md", "It takes @TIME@.\n") == Complaints{"docs/b.md:1: @TIME@ was left"});
  CHECK(check("a.cmake", "@TIME@\n").empty());
}

TEST_CASE("an unusual word is reported with the usual one") {
  // The words are put together here so that this file does not hold one itself.
  const std::string begun = std::string("beg") + "un";
  CHECK(check_words({"docs/x.md", "# A\n\nIt is " + begun + ".\n"}) ==
        Complaints{"docs/x.md:3: not \"" + begun + "\" but: started"});
  for (const File& file : {
           File{"a.cpp", "int x = 0;  // " + begun + "\n"},
           {"a.hpp", "f(\"it is " + begun + "\");\n"},
           {"scripts/x", "# Beg" + begun.substr(3) + ".\n"},
           {"x.py", "\"\"\"" + begun + ".\"\"\"\n"},
           {"CMakeLists.txt", "# " + begun + "\n"},
       }) {
    CAPTURE(file.path);
    CHECK(check_words(file).size() == 1);
  }
}

TEST_CASE("a phrase is found across the end of a line") {
  CHECK(check_words({"a.hpp", "// It fails for\n  /// want\n// of memory.\n"}) ==
        Complaints{std::string("a.hpp:1: not \"for want") + " of\" but: because there is not enough"});
  CHECK(check_words({"x.md", "for\nwant\nof\n"}).size() == 1);
}

TEST_CASE("code and other phrases of the same words pass") {
  const std::string begun = std::string("beg") + "un";
  CHECK(check_words({"a.cpp", "bool " + begun + " = journal." + begun + "();\n"}).empty());
  CHECK(check_words({"x.md", "See `" + begun + "()` and " + begun + "_nanoseconds.\n"}).empty());
  CHECK(check_words({"x.md", "They are all the same size; it stands in for a GPU; amended.\n"}).empty());
  CHECK(check_words({"x.json", begun + "\n"}).empty());
  CHECK(check_words({"x.md", std::string("It works all the") + " same.\n"}).size() == 1);
}

}  // namespace tutti::tidy
