# What all targets of this project share: language level, warnings, sanitizers, and how libraries are declared.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(TUTTI_CCACHE ccache)
if(TUTTI_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TUTTI_CCACHE})
endif()

# Interface target with the flags; every target of Tutti links it.
add_library(tutti_flags INTERFACE)
target_include_directories(tutti_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_options(tutti_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wconversion -Wno-sign-conversion
  # The same bits on every build: no fused multiply-add unless the source asks for it.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # It warns about `"text" + std::string` at -O3 without a reason (GCC bug 105651, fixed in 13).
  target_compile_options(tutti_flags INTERFACE -Wno-restrict)
endif()
if(TUTTI_FAULT_POINTS)
  target_compile_definitions(tutti_flags INTERFACE TUTTI_FAULT_POINTS)
endif()
if(TUTTI_WARNINGS_AS_ERRORS)
  target_compile_options(tutti_flags INTERFACE -Werror)
endif()
if(TUTTI_SANITIZE)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # With sanitizers GCC's warnings have more false positives, according to its manual; here in <regex>.
    target_compile_options(tutti_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_compile_options(tutti_flags INTERFACE -fsanitize=${TUTTI_SANITIZE} -fno-omit-frame-pointer -g
    -fno-sanitize-recover=all)
  target_link_options(tutti_flags INTERFACE -fsanitize=${TUTTI_SANITIZE})
  if(TUTTI_SANITIZE MATCHES "thread")
    # ThreadSanitizer does not understand fences, and g++ warns about it; Asio's queue is also ordered by its mutex.
    target_compile_definitions(tutti_flags INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
if(TUTTI_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "TUTTI_FUZZ needs clang, whose libFuzzer it uses; use the preset fuzz")
  endif()
  # Counters with which libFuzzer sees the edges that an input reached.
  target_compile_options(tutti_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# tutti_group_sources(target N): compiles N sources of the target at once, if TUTTI_GROUP_SOURCES is on: they share
# the reading of the headers, which takes most of the compile time here. Names in unnamed namespaces must then differ
# within a folder; a source with separate options is compiled alone.
function(tutti_group_sources target size)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${TUTTI_GROUP_SOURCES} UNITY_BUILD_BATCH_SIZE ${size})
endfunction()

# tutti_library(name SOURCES ... PUBLIC libs... PRIVATE libs...): a static library of one folder.
function(tutti_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC tutti_flags ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  tutti_group_sources(${name} 8)
endfunction()
