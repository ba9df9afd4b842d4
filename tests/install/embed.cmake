# Installs BUILD into a fresh prefix under SCRATCH, builds SOURCE/examples/embed against it, moves the prefix, checks
# that no text in it names the source or build folder, and runs the example. Fails at the first thing that fails.

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

# The example in a folder without any of Tutti's sources nearby.
file(COPY ${SOURCE}/examples/embed DESTINATION ${SCRATCH})
file(RENAME ${SCRATCH}/first ${SCRATCH}/moved)
run(${CMAKE_COMMAND} -S ${SCRATCH}/embed -B ${SCRATCH}/embed/build -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${SCRATCH}/moved)
run(${CMAKE_COMMAND} --build ${SCRATCH}/embed/build)

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
# They find the modules in their folder.
run(${SCRATCH}/moved/libexec/tutti/compare --help)
run(${SCRATCH}/moved/libexec/tutti/report --help)
run(${CMAKE_COMMAND} -E env --unset=TUTTI_WORKER ${SCRATCH}/embed/build/embed)
message("${output}")
# The slower member alone takes 3 s; one after the other they would take 5 s.
if(NOT output MATCHES "image 3: class [0-2]" OR NOT output MATCHES "predicted in [34]\\.[0-9] s")
  message(FATAL_ERROR "the example did not predict as it should")
endif()
