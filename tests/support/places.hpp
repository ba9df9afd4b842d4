// Where this build has its programs and its sources. CMake writes the source that has the values, so that what a
// test is compiled from is the same in every checkout, and a compiler's cache knows it.
#pragma once

#include <filesystem>
#include <string_view>

namespace tutti::test {

/// The root of the sources.
std::filesystem::path source_folder();
/// A file or folder of the sources: "tests/images/data".
std::filesystem::path in_sources(std::string_view name);

// Programs and plugins of this build. Empty: it does not have that one.
extern const char* const kProgram;
extern const char* const kWorkerProgram;
extern const char* const kBenchProgram;
extern const char* const kBenchSingle;
extern const char* const kTorchPlugin;

// Those that pretend to be one and break its rules.
extern const char* const kRogueWorker;
extern const char* const kRogueForkServer;
extern const char* const kNoPlugin;
extern const char* const kForeignPlugin;
extern const char* const kPretendSingle;
extern const char* const kNoRecorder;
extern const char* const kForeignRecorder;

}  // namespace tutti::test
