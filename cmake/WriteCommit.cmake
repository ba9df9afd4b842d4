# Writes OUTPUT, a C++ file that defines tutti::bench::commit(): the commit of SOURCE_DIR with "+dirty" if tracked files
# were changed, or nothing outside of a repository. Run at every build; writes only when the content changes.
set(commit "")
find_package(Git QUIET)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --dirty=+dirty --abbrev=12 --exclude=*
    WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(text "// Generated. The commit of the source tree.
#include \"bench/commit.hpp\"
namespace tutti::bench {
const char* commit() { return \"${commit}\"; }
}  // namespace tutti::bench
")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "${text}" @ONLY)  # writes only what is new
