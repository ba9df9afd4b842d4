# Installs BUILD into a fresh prefix under SCRATCH, builds SOURCE/examples against it, moves the prefix, checks
# that no text in it names the source or build folder, and runs the examples. Fails at the first thing that fails.

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nended with ${code}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${SCRATCH})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/first)

# The examples in a folder without any of Tutti's sources nearby. Each is a project of its own; together they are
# configured once and compiled at the same time.
file(RENAME ${SCRATCH}/first ${SCRATCH}/moved)
file(COPY ${SOURCE}/examples DESTINATION ${SCRATCH})
set(examples c combine coroutines embed http segmentation spec threads)
list(TRANSFORM examples REPLACE "(.+)" "add_subdirectory(\\1)\n" OUTPUT_VARIABLE lines)
file(WRITE ${SCRATCH}/examples/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(examples LANGUAGES C CXX)\n" ${lines})
set(built ${SCRATCH}/examples/build)
run(${CMAKE_COMMAND} -S ${SCRATCH}/examples -B ${built} -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${SCRATCH}/moved
  "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror")
run(${CMAKE_COMMAND} --build ${built} --parallel 2)
file(GLOB folders LIST_DIRECTORIES TRUE RELATIVE ${SOURCE}/examples ${SOURCE}/examples/*)
list(REMOVE_ITEM folders python)  # tests/python/package runs these
if(NOT folders STREQUAL examples)
  message(FATAL_ERROR "not all examples are built: ${folders}")
endif()

cmake_policy(SET CMP0009 NEW)  # not into LibTorch, by its link
file(GLOB_RECURSE texts ${SCRATCH}/moved/*.cmake ${SCRATCH}/moved/*.hpp ${SCRATCH}/moved/*.h ${SCRATCH}/moved/*.pc)
foreach(text IN LISTS texts)
  file(READ ${text} content)
  foreach(folder ${SCRATCH} ${BUILD} ${SOURCE}/)
    string(FIND "${content}" "${folder}" place)
    if(NOT place EQUAL -1)
      message(FATAL_ERROR "${text} names ${folder}")
    endif()
  endforeach()
endforeach()

run(${SCRATCH}/moved/bin/tutti --version)
run(${SCRATCH}/moved/bin/tutti --help)
file(READ ${SCRATCH}/moved/share/man/man1/tutti.1 manual)
string(REGEX REPLACE ".*Subcommands:" "" commands "${output}")
string(REGEX MATCHALL "\n  [a-z]+ " commands "${commands}")
foreach(command IN LISTS commands)
  string(STRIP "${command}" command)
  if(NOT manual MATCHES "\n\\.B ${command}\n")
    message(FATAL_ERROR "the manual page does not list the command ${command}")
  endif()
endforeach()
if(NOT commands)
  message(FATAL_ERROR "no command was found in:\n${output}")
endif()
foreach(file bash-completion/completions/tutti zsh/site-functions/_tutti fish/vendor_completions.d/tutti.fish
    tutti/ensemble.schema.json)
  if(NOT EXISTS ${SCRATCH}/moved/share/${file})
    message(FATAL_ERROR "share/${file} was not installed")
  endif()
endforeach()
foreach(file README.md docs/configuration.md examples/embed/CMakeLists.txt config/digits.yaml config/examples/fake.yaml)
  if(NOT EXISTS ${SCRATCH}/moved/share/doc/tutti/${file})
    message(FATAL_ERROR "share/doc/tutti/${file} was not installed")
  endif()
endforeach()
if(TORCH)
  # With no word about LibTorch: by the link that the installation made.
  file(WRITE ${SCRATCH}/mlp.yaml "members: [{name: a, model: {kind: mlp, layers: [12, 3]}}]\nassignment: cpu\n"
    "input: {dataset: random, count: 4, shape: [3, 2, 2]}\noutput: ${SCRATCH}/run\n")
  run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER --unset=TUTTI_LIBTORCH --unset=LD_LIBRARY_PATH
    ${SCRATCH}/moved/bin/tutti run ${SCRATCH}/mlp.yaml)
  # Without the link, by the name of the folder with the libraries; the single-process rows of the bench, too.
  file(REMOVE ${SCRATCH}/moved/libexec/libtorch)
  run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER --unset=LD_LIBRARY_PATH TUTTI_LIBTORCH=${TORCH}/lib
    ${SCRATCH}/moved/bin/tutti bench ${SCRATCH}/mlp.yaml --repeats 1)
  if(output MATCHES "exit code 127")
    message(FATAL_ERROR "the bench did not find LibTorch:\n${output}")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER --unset=LD_LIBRARY_PATH --unset=TUTTI_LIBTORCH
    ${SCRATCH}/moved/bin/tutti run ${SCRATCH}/mlp.yaml OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT output MATCHES "export TUTTI_LIBTORCH=\\$\\(python3 -c 'import torch[^\n]*; or get it: pip install --target ~/libtorch")
    message(FATAL_ERROR "the hint is not the command:\n${output}")
  endif()
endif()
# They find the modules in their folder.
run(${SCRATCH}/moved/libexec/tutti/compare --help)
run(${SCRATCH}/moved/libexec/tutti/report --help)
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${built}/coroutines/coroutines)
if(NOT output MATCHES "caller 7: class [0-2]")
  message(FATAL_ERROR "the coroutines did not predict as they should:\n${output}")
endif()
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${built}/threads/threads)
if(NOT output MATCHES "64 threads: 1280 of 1280 images predicted, 1280 as alone")
  message(FATAL_ERROR "the threads did not predict as they should:\n${output}")
endif()
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${built}/segmentation/segmentation)
if(NOT output MATCHES "1 mask of 3x12x24\n[abc]+\n" OR NOT output MATCHES "least sure in row [0-9]+, column [0-9]+")
  message(FATAL_ERROR "the segmentation did not predict as it should:\n${output}")
endif()
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${built}/spec/spec)
if(NOT output MATCHES "refused: members.2..name: [^\n]*\nmembers:\n2 images: class [0-2], class [0-2]")
  message(FATAL_ERROR "the description was not checked and used as it should be:\n${output}")
endif()
run(${built}/combine/combine ${SCRATCH}/combined)
if(NOT output MATCHES "mean: 75 % right" OR NOT EXISTS ${SCRATCH}/combined/vote/predicted.npy)
  message(FATAL_ERROR "the tables were not combined as they should be:\n${output}")
endif()

# The program in C, by CMake and by pkg-config, which must not name the folder that the prefix was moved from.
set(programs ${built}/c/c-example)
find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${SCRATCH}/moved/lib/pkgconfig ${PKG_CONFIG} --cflags --libs tutti)
  separate_arguments(flags UNIX_COMMAND "${output}")
  run(${COMPILER} -x c -std=c99 -Wall -Wextra -Wpedantic -Werror ${SCRATCH}/examples/c/main.c -x none ${flags} -pthread
    -Wl,-rpath,${SCRATCH}/moved/lib -o ${SCRATCH}/by-pkg-config)
  list(APPEND programs ${SCRATCH}/by-pkg-config)
endif()
foreach(program IN LISTS programs)
  run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${program})
  if(NOT output MATCHES "submitted image 3: class [0-2]\nfreed twice: [^\n]*freed already")
    message(FATAL_ERROR "the program in C did not predict as it should:\n${output}")
  endif()
endforeach()
# The program on the page about the C API.
file(READ ${SCRATCH}/moved/share/doc/tutti/docs/c-api.md page)
string(REGEX MATCH "```c\n(#include[^`]*)```" program "${page}")
file(WRITE ${SCRATCH}/page.c "${CMAKE_MATCH_1}")
file(WRITE ${SCRATCH}/ensemble.yaml
  "members: [{name: a, model: {kind: fake, classes: 3}}]\nassignment: cpu\ninput: {shape: [3, 32, 32]}\n")
run(${COMPILER} -x c -std=c99 -Wall -Wextra -Wpedantic -Werror ${SCRATCH}/page.c -x none -I${SCRATCH}/moved/include
  -L${SCRATCH}/moved/lib -ltutti -Wl,-rpath,${SCRATCH}/moved/lib -o ${SCRATCH}/page)
execute_process(COMMAND ${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${SCRATCH}/page WORKING_DIRECTORY ${SCRATCH}
  OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT output MATCHES "class [0-2]")
  message(FATAL_ERROR "the program of docs/c-api.md did not predict:\n${output}")
endif()

# By a folder that is a link, as /lib is one to /usr/lib, the library still finds the worker.
file(MAKE_DIRECTORY ${SCRATCH}/elsewhere)
file(CREATE_LINK ${SCRATCH}/moved/lib ${SCRATCH}/elsewhere/lib SYMBOLIC)
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER LD_LIBRARY_PATH=${SCRATCH}/elsewhere/lib ${built}/c/c-example)
find_program(PYTHON3 python3)
if(PYTHON3)
  run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${PYTHON3} ${SOURCE}/tests/install/ask_server.py ${built}/http/http)
endif()
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${built}/embed/embed)
message("${output}")
# The slower member alone takes 3 s; one after the other they would take 5 s.
if(NOT output MATCHES "image 3: class [0-2]" OR NOT output MATCHES "predicted in [34]\\.[0-9] s")
  message(FATAL_ERROR "the example did not predict as it should")
endif()
