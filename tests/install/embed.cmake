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

# The examples in a folder without any of Tutti's sources nearby.
file(RENAME ${SCRATCH}/first ${SCRATCH}/moved)
foreach(example embed coroutines http)
  file(COPY ${SOURCE}/examples/${example} DESTINATION ${SCRATCH})
  run(${CMAKE_COMMAND} -S ${SCRATCH}/${example} -B ${SCRATCH}/${example}/build -G ${GENERATOR}
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${SCRATCH}/moved)
  run(${CMAKE_COMMAND} --build ${SCRATCH}/${example}/build)
endforeach()

cmake_policy(SET CMP0009 NEW)  # not into LibTorch, by its link
file(GLOB_RECURSE texts ${SCRATCH}/moved/*.cmake ${SCRATCH}/moved/*.hpp)
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
  if(NOT output MATCHES "export TUTTI_LIBTORCH=\\$\\(python3 -c 'import torch")
    message(FATAL_ERROR "the hint is not the command:\n${output}")
  endif()
endif()
# They find the modules in their folder.
run(${SCRATCH}/moved/libexec/tutti/compare --help)
run(${SCRATCH}/moved/libexec/tutti/report --help)
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${SCRATCH}/coroutines/build/coroutines)
if(NOT output MATCHES "caller 7: class [0-2]")
  message(FATAL_ERROR "the coroutines did not predict as they should:\n${output}")
endif()
find_program(PYTHON3 python3)
if(PYTHON3)
  run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${PYTHON3} ${SOURCE}/tests/install/ask_server.py ${SCRATCH}/http/build/http)
endif()
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${SCRATCH}/embed/build/embed)
message("${output}")
# The slower member alone takes 3 s; one after the other they would take 5 s.
if(NOT output MATCHES "image 3: class [0-2]" OR NOT output MATCHES "predicted in [34]\\.[0-9] s")
  message(FATAL_ERROR "the example did not predict as it should")
endif()
