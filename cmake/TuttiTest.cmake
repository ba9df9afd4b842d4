# tutti_test(name [THREADS] [COMPUTES] LABELS unit SOURCES a.cpp ... LIBRARIES lib ...): a doctest program whose cases ctest
# finds one by one. Sources do not define the main function; it is added here. COMPUTES: they take long enough to be
# compiled with optimisation. APART: sources whose local names are those of others. Keep commas, brackets, semicolons and
# quotes out of the names of test cases: ctest and doctest's filters give them a meaning.
# A case that prints a line beginning with "SKIPPED:" is reported as skipped by ctest.

include(doctest)

if(NOT TARGET tutti_test_main)
  add_library(tutti_test_main STATIC ${PROJECT_SOURCE_DIR}/tests/main.cpp)
  target_link_libraries(tutti_test_main PUBLIC tutti_test_places tutti_flags doctest::doctest)
endif()

# What has threads or processes, for ThreadSanitizer: tutti_test(... THREADS) adds itself, and
# `threads` to its label.
if(NOT TARGET tutti_threaded_tests)
  add_custom_target(tutti_threaded_tests)
endif()

function(tutti_test name)
  cmake_parse_arguments(ARG "THREADS;COMPUTES" "TIMEOUT" "LABELS;SOURCES;APART;LIBRARIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  tutti_grouped(sources ${name} ${ARG_SOURCES})
  add_executable(${name} ${sources} ${ARG_APART})
  # As a rule only the code under test need be fast: without optimisation a test compiles in half the time.
  target_compile_options(${name} PRIVATE $<IF:$<BOOL:${ARG_COMPUTES}>,-O1,-O0>)
  target_link_libraries(${name} PRIVATE tutti_test_main ${ARG_LIBRARIES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if(ARG_THREADS)
    # One label, since doctest_discover_tests takes no list: unit-threads. ctest looks for parts of labels.
    string(APPEND ARG_LABELS "-threads")
    add_dependencies(tutti_threaded_tests ${name})
  endif()
  doctest_discover_tests(${name}
    TEST_PREFIX "${name}: "
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} SKIP_REGULAR_EXPRESSION "SKIPPED:")
endfunction()

# tutti_test_of_locks(name SOURCE a.cpp MESSAGE "..."): two tests of what clang says to a source (thread_annotations.hpp):
# nothing as it is, and an error with MESSAGE, a regular expression, where TUTTI_WITHOUT_LOCK takes a lock out of it.
# Whatever compiler builds the rest; skipped without clang++.
find_program(TUTTI_CLANG NAMES clang++ DOC "clang++, which checks the annotations of locks")
mark_as_advanced(TUTTI_CLANG)

function(tutti_test_of_locks name)
  cmake_parse_arguments(ARG "" "SOURCE;MESSAGE" "" ${ARGN})
  set(look ${TUTTI_CLANG} -std=c++20 -fsyntax-only -Wthread-safety -Werror -I${PROJECT_SOURCE_DIR}
    ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE})
  if(NOT TUTTI_CLANG)
    set(look ${CMAKE_COMMAND} -E echo "SKIPPED: there is no clang++ here")
  endif()
  add_test(NAME "${name} compiles" COMMAND ${look})
  add_test(NAME "${name} does not compile without it" COMMAND ${look} -DTUTTI_WITHOUT_LOCK)
  set_tests_properties("${name} compiles" "${name} does not compile without it" PROPERTIES
    LABELS unit TIMEOUT 120 SKIP_REGULAR_EXPRESSION "SKIPPED:")
  if(TUTTI_CLANG)
    set_tests_properties("${name} does not compile without it" PROPERTIES PASS_REGULAR_EXPRESSION "error: ${ARG_MESSAGE}")
  endif()
endfunction()
