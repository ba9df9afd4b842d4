# tutti_test(name LABELS unit SOURCES a.cpp ... LIBRARIES lib ...): a doctest program whose cases ctest finds one by
# one. Sources do not define the main function; it is added here. APART: sources whose local names collide with those of
# others. Names of test cases must not have commas, brackets, semicolons or quotes, which ctest and doctest's filters
# interpret.
# A case that prints a line beginning with "SKIPPED:" is reported as skipped by ctest.

include(doctest)

if(NOT TARGET tutti_test_main)
  add_library(tutti_test_main STATIC ${PROJECT_SOURCE_DIR}/tests/main.cpp)
  target_link_libraries(tutti_test_main PUBLIC tutti_flags doctest::doctest)
endif()

function(tutti_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;SOURCES;APART;LIBRARIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES} ${ARG_APART})
  set_source_files_properties(${ARG_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  # Only the code under test must be fast: without optimisation a test compiles in half the time.
  target_compile_options(${name} PRIVATE -O0)
  tutti_group_sources(${name} 8)
  target_link_libraries(${name} PRIVATE tutti_test_main ${ARG_LIBRARIES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  doctest_discover_tests(${name}
    TEST_PREFIX "${name}: "
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} SKIP_REGULAR_EXPRESSION "SKIPPED:")
endfunction()
