# Tests of what FindLibTorch says of folders that it cannot use: cmake -D SOURCE_DIR=... -D FOLDER=... -P this file.
# Run with no TUTTI_LIBTORCH in the environment but the one given here. Calls itself with LOOK for each look.
if(LOOK)
  list(PREPEND CMAKE_MODULE_PATH ${SOURCE_DIR}/cmake)
  set(PROJECT_SOURCE_DIR ${FOLDER})
  set(CMAKE_SOURCE_DIR ${FOLDER})
  find_package(LibTorch REQUIRED)
  message(FATAL_ERROR "it was accepted")
endif()

function(expect_refusal from_environment look_in text)
  set(given "")
  if(NOT from_environment)
    set(given ${look_in})
    set(look_in "")
  endif()
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env "TUTTI_LIBTORCH=${look_in}"
      ${CMAKE_COMMAND} -D LOOK=ON -D SOURCE_DIR=${SOURCE_DIR} -D FOLDER=${FOLDER} "-DTUTTI_LIBTORCH=${given}"
        -D TUTTI_PYTHON=${FOLDER}/no-python -P ${CMAKE_SCRIPT_MODE_FILE}
    RESULT_VARIABLE result ERROR_VARIABLE error OUTPUT_QUIET)
  string(REGEX REPLACE "[ \n]+" " " error "${error}")
  string(FIND "${error}" "${text}" at)
  string(FIND "${error}" "or set TUTTI_LIBTORCH to" advice)
  if(result EQUAL 0 OR at EQUAL -1 OR advice EQUAL -1)
    message(SEND_ERROR "expected: ${text}\ncame: ${error}")
  endif()
endfunction()

function(make_libtorch folder major minor)
  file(REMOVE_RECURSE ${folder})
  foreach(file lib/libtorch_cpu.so lib/libc10.so include/ATen/ATen.h include/torch/csrc/api/include/torch/all.h)
    file(WRITE ${folder}/${file} "")
  endforeach()
  file(WRITE ${folder}/include/torch/csrc/api/include/torch/version.h
    "#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH 1\n")
endfunction()

file(MAKE_DIRECTORY ${FOLDER})
expect_refusal(FALSE "" "no LibTorch was found")
expect_refusal(FALSE ${FOLDER}/absent "'${FOLDER}/absent' is not a LibTorch: it has no lib/libtorch_cpu.so")
expect_refusal(TRUE ${FOLDER}/absent "'${FOLDER}/absent' is not a LibTorch: it has no lib/libtorch_cpu.so")
set(folder ${FOLDER}/libtorch)
make_libtorch(${folder} 2 6)
expect_refusal(FALSE ${folder} "LibTorch 2.6.1 in '${folder}' is too old: 2.7 or newer is needed")
expect_refusal(TRUE ${folder}/lib "LibTorch 2.6.1 in '${folder}' is too old")  # its lib/ names it too
make_libtorch(${folder} 2 14)
expect_refusal(FALSE ${folder} "LibTorch 2.14.1 in '${folder}' is too new: below 2.14 is needed")
make_libtorch(${folder} "" "")
expect_refusal(FALSE ${folder} "cannot read the version of the LibTorch in '${folder}' from its version.h")
make_libtorch(${folder} 2 7)
file(WRITE ${folder}/share/cmake/Torch/TorchConfig.cmake "set(TORCH_CXX_FLAGS \"-D_GLIBCXX_USE_CXX11_ABI=0\")")
expect_refusal(FALSE ${folder} "the LibTorch in '${folder}' has the old C++ ABI; use one with the C++11 ABI")
# The folder in the source tree that the set-up fills is looked at too.
make_libtorch(${FOLDER}/.libtorch/torch 2 6)
expect_refusal(FALSE "" "LibTorch 2.6.1 in '${FOLDER}/.libtorch/torch' is too old")
file(REMOVE_RECURSE ${FOLDER})
