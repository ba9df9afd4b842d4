# Finds what the extension modules of the Python package need: Python's headers and nanobind. Sets TUTTI_PYTHON_FOUND, or
# fails if TUTTI_WITH_PYTHON is ON and something is missing.
#
# The interpreter is that of TUTTI_PYTHON (a variable of CMake or of the environment), or else the one that CMake finds;
# nanobind is the Python package of this interpreter.

set(TUTTI_PYTHON_FOUND FALSE)
set(_python_missing "")
if(TUTTI_WITH_PYTHON STREQUAL "OFF")
  return()
endif()
if(NOT Python_EXECUTABLE)
  set(_python ${TUTTI_PYTHON})
  if(NOT _python)
    set(_python $ENV{TUTTI_PYTHON})
  endif()
  if(_python)
    # It may be a script that starts the interpreter in an environment; the interpreter itself needs none.
    execute_process(
      COMMAND ${CMAKE_COMMAND} -E env TUTTI_LIBTORCH=${TUTTI_LIBTORCH} ${_python} -c "import sys; print(sys.executable)"
      OUTPUT_VARIABLE Python_EXECUTABLE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
endif()
if(TUTTI_SANITIZE)
  # An interpreter without the sanitizer cannot open such a module.
  set(_python_missing "a build with sanitizers has no Python package")
else()
  find_package(Python 3.11 QUIET COMPONENTS Interpreter Development.Module OPTIONAL_COMPONENTS Development.SABIModule)
  if(NOT Python_Interpreter_FOUND)
    set(_python_missing "no Python 3.11 or later was found")
  elseif(NOT Python_Development.Module_FOUND)
    set(_python_missing "the headers of Python ${Python_VERSION} are missing (Debian: python3-dev)")
  else()
    execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
      OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_package(nanobind CONFIG QUIET)  # without a version: a new major one counts as another package there
    if(NOT nanobind_FOUND OR nanobind_VERSION VERSION_LESS 2.4)
      set(_python_missing "${Python_EXECUTABLE} has no nanobind 2.4 or later (pip install nanobind)")
    endif()
  endif()
endif()
if(_python_missing)
  if(TUTTI_WITH_PYTHON STREQUAL "ON")
    message(FATAL_ERROR "TUTTI_WITH_PYTHON is ON: ${_python_missing}")
  endif()
  message(STATUS "Python package: left out, because ${_python_missing}")
  return()
endif()
set(TUTTI_PYTHON_FOUND TRUE)
message(STATUS "Python package: for Python ${Python_VERSION} (${Python_EXECUTABLE}), nanobind ${nanobind_VERSION}")

# tutti_python_module(target module SOURCES a.cpp ... LIBRARIES lib ...): an extension module `tutti.<module>`, in the
# package of the build folder. It exports nothing but its entry, so that the Boost or spdlog in it meets no other. One
# binary serves CPython from 3.12 on if the packager asks for that (scikit-build-core's wheel.py-api).
function(tutti_python_module target module)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  nanobind_add_module(${target} STABLE_ABI NB_STATIC NB_SUPPRESS_WARNINGS NB_DOMAIN tutti ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE tutti_flags ${ARG_LIBRARIES})
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${module}
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python/tutti)
  install(TARGETS ${target} LIBRARY DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
endfunction()
