# Finds LibTorch: the `torch/` folder of a pip wheel, or an unpacked LibTorch zip. Does not use LibTorch's own package
# file, which needs nvcc at configure time and links every CUDA library into each program.
#
#   LibTorch::cpu   torch_cpu and c10
#   LibTorch::cuda  torch_cuda and c10_cuda, if this LibTorch has them
#   LibTorch_VERSION, LibTorch_ROOT_FOLDER
#
# The first of these is used: the cache variable TUTTI_LIBTORCH, the environment's TUTTI_LIBTORCH, .libtorch/torch in the
# source tree, the torch of the Python in PATH. While pip builds a wheel, the torch of its environment comes before
# .libtorch/torch: the wheel is for that one. If TUTTI_LIBTORCH names one that cannot be used, that is an error; no
# other is taken.

set(TUTTI_LIBTORCH "" CACHE PATH "LibTorch: a pip wheel's torch/ folder, or an unpacked LibTorch zip")
set(_libtorch_min 2.7)   # the first whose Linux wheels all have the C++11 ABI
set(_libtorch_max 2.14)  # not tested yet
set(_libtorch_advice
  "Run ./scripts/setup, or set TUTTI_LIBTORCH to a LibTorch ${_libtorch_min} or newer (below ${_libtorch_max}): "
  "the torch/ folder of a pip wheel or an unpacked LibTorch zip. "
  "Without LibTorch (fake members only): -DTUTTI_WITH_TORCH=OFF")
string(CONCAT _libtorch_advice ${_libtorch_advice})

# Sets `problem` to the reason why `folder` cannot be used, or to nothing; and LibTorch_VERSION.
function(_libtorch_check folder problem)
  set(${problem} "" PARENT_SCOPE)
  foreach(file lib/libtorch_cpu.so lib/libc10.so include/ATen/ATen.h include/torch/csrc/api/include/torch/all.h)
    if(NOT EXISTS ${folder}/${file})
      set(${problem} "'${folder}' is not a LibTorch: it has no ${file}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  # The version numbers moved to headeronly/ in 2.10.
  set(text "")
  foreach(file include/torch/headeronly/version.h include/torch/csrc/api/include/torch/version.h)
    if(NOT text MATCHES "TORCH_VERSION_PATCH" AND EXISTS ${folder}/${file})
      file(READ ${folder}/${file} text)
    endif()
  endforeach()
  set(version "")
  foreach(part MAJOR MINOR PATCH)
    if(text MATCHES "#define TORCH_VERSION_${part} ([0-9]+)")
      list(APPEND version ${CMAKE_MATCH_1})
    endif()
  endforeach()
  list(JOIN version "." version)
  if(NOT version MATCHES "^[0-9]+\\.[0-9]+\\.[0-9]+$")
    set(${problem} "cannot read the version of the LibTorch in '${folder}' from its version.h" PARENT_SCOPE)
  elseif(version VERSION_LESS _libtorch_min)
    set(${problem} "LibTorch ${version} in '${folder}' is too old: ${_libtorch_min} or newer is needed" PARENT_SCOPE)
  elseif(NOT version VERSION_LESS _libtorch_max)
    set(${problem} "LibTorch ${version} in '${folder}' is too new: below ${_libtorch_max} is needed" PARENT_SCOPE)
  endif()
  if(EXISTS ${folder}/share/cmake/Torch/TorchConfig.cmake)
    file(READ ${folder}/share/cmake/Torch/TorchConfig.cmake text)
    if(text MATCHES "_GLIBCXX_USE_CXX11_ABI=0")
      set(${problem} "the LibTorch in '${folder}' has the old C++ ABI; use one with the C++11 ABI" PARENT_SCOPE)
    endif()
  endif()
  set(LibTorch_VERSION ${version} PARENT_SCOPE)
endfunction()

# Sets `folder` to the torch folder of the Python in PATH, or of the one that builds a wheel, without importing it, or to
# nothing. pip hides the packages of the environment from a build, but not where they are.
function(_libtorch_of_python folder)
  set(${folder} "" PARENT_SCOPE)
  set(interpreter ${Python_EXECUTABLE})
  if(NOT SKBUILD)
    find_program(TUTTI_PYTHON NAMES python3 DOC "A Python whose torch may be used")
    mark_as_advanced(TUTTI_PYTHON)
    set(interpreter ${TUTTI_PYTHON})
  endif()
  if(NOT interpreter)
    return()
  endif()
  execute_process(
    COMMAND ${interpreter} -c "import importlib.util as u, os, sysconfig
found = u.find_spec('torch')
places = found.submodule_search_locations if found else [os.path.join(sysconfig.get_path('platlib'), 'torch')]
print(next(place for place in places if os.path.isdir(place)))"
    OUTPUT_VARIABLE output RESULT_VARIABLE result OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(result EQUAL 0)
    set(${folder} ${output} PARENT_SCOPE)
  endif()
endfunction()

# The first folder is used; its problems are reported, and no other folder is tried.
set(LibTorch_ROOT_FOLDER "")
if(TUTTI_LIBTORCH)
  set(LibTorch_ROOT_FOLDER ${TUTTI_LIBTORCH})
elseif(DEFINED ENV{TUTTI_LIBTORCH} AND NOT "$ENV{TUTTI_LIBTORCH}" STREQUAL "")
  set(LibTorch_ROOT_FOLDER $ENV{TUTTI_LIBTORCH})
elseif(SKBUILD)
  _libtorch_of_python(LibTorch_ROOT_FOLDER)
endif()
if(LibTorch_ROOT_FOLDER)
elseif(EXISTS ${PROJECT_SOURCE_DIR}/.libtorch/torch)
  set(LibTorch_ROOT_FOLDER ${PROJECT_SOURCE_DIR}/.libtorch/torch)
else()
  _libtorch_of_python(LibTorch_ROOT_FOLDER)
endif()
if(LibTorch_ROOT_FOLDER)
  get_filename_component(LibTorch_ROOT_FOLDER ${LibTorch_ROOT_FOLDER} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
  if(EXISTS ${LibTorch_ROOT_FOLDER}/libc10.so)  # its lib/ was named
    get_filename_component(LibTorch_ROOT_FOLDER ${LibTorch_ROOT_FOLDER} DIRECTORY)
  endif()
  _libtorch_check(${LibTorch_ROOT_FOLDER} _libtorch_problem)
else()
  set(_libtorch_problem "no LibTorch was found")
endif()

if(_libtorch_problem)
  set(LibTorch_FOUND FALSE)
  if(LibTorch_FIND_REQUIRED)
    message(FATAL_ERROR "${_libtorch_problem}. ${_libtorch_advice}")
  endif()
  return()
endif()
set(LibTorch_FOUND TRUE)
# Cached, because CMake may run again in another environment.
set_property(CACHE TUTTI_LIBTORCH PROPERTY VALUE ${LibTorch_ROOT_FOLDER})

function(_libtorch_library name file)
  add_library(${name} SHARED IMPORTED)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${LibTorch_ROOT_FOLDER}/lib/${file})
endfunction()

if(NOT TARGET LibTorch::cpu)
  message(STATUS "LibTorch ${LibTorch_VERSION}: ${LibTorch_ROOT_FOLDER}")
  _libtorch_library(LibTorch::c10 libc10.so)
  _libtorch_library(LibTorch::torch_cpu libtorch_cpu.so)
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::torch_cpu LibTorch::c10)
  target_include_directories(LibTorch::cpu SYSTEM INTERFACE
    ${LibTorch_ROOT_FOLDER}/include ${LibTorch_ROOT_FOLDER}/include/torch/csrc/api/include)
  # A wheel has headers of its own {fmt}, without a library, and they are found before the system's: code that includes
  # LibTorch uses {fmt} header-only.
  target_compile_definitions(LibTorch::cpu INTERFACE FMT_HEADER_ONLY)
  # LibTorch's checks name their header: without this machine's folder.
  target_compile_options(LibTorch::cpu INTERFACE -fmacro-prefix-map=${LibTorch_ROOT_FOLDER}=libtorch)
endif()
if(NOT TARGET LibTorch::cuda AND EXISTS ${LibTorch_ROOT_FOLDER}/lib/libtorch_cuda.so)
  _libtorch_library(LibTorch::c10_cuda libc10_cuda.so)
  _libtorch_library(LibTorch::torch_cuda libtorch_cuda.so)
  add_library(LibTorch::cuda INTERFACE IMPORTED)
  target_link_libraries(LibTorch::cuda INTERFACE LibTorch::torch_cuda LibTorch::c10_cuda LibTorch::cpu)
endif()
