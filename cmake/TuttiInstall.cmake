# The layout of `cmake --install`, and the package that find_package(tutti) finds:
#
#   bin/tutti                    the program
#   libexec/tutti/               programs that users do not start themselves: tutti-worker and its plugins, the programs
#                                of `tutti bench`, and compare and report, which work on rows of measurements
#   lib/libtutti.so, include/    the library for programs that embed Tutti; its headers need only the C++ library
#   lib/cmake/tutti/             the package; it needs no other package
#   lib/pkgconfig/tutti.pc       the same for pkg-config
#   libexec/libtorch             a link to the LibTorch of this build
#   share/doc/tutti/             README, docs, examples
#   share/tutti/                 the schema of the YAML file, for editors
#   share/man/man1/tutti.1       the manual page
#   share/bash-completion, share/zsh, share/fish   completion of the command line
#
# The component `runtime` is what a Python wheel takes: the program, the worker and its plugins. The component `python`, which
# only a wheel asks for, is the extension modules.
#
# The prefix can be moved: program, library and worker find each other by relative paths. The CMake files of worker/ and
# bench/ install the plugins. LibTorch is not copied: libexec/libtorch is a link to it, unless there is one already or the
# files are staged for another machine (DESTDIR); the environment variable TUTTI_LIBTORCH overrides it.

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tutti)
set(worker_dir ${CMAKE_INSTALL_LIBEXECDIR}/tutti)

if(TARGET tutti_program)
  install(TARGETS tutti_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
  install(FILES ${PROJECT_SOURCE_DIR}/program/tutti.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  # Optional: a build of a single target has not made them.
  set(printed ${PROJECT_BINARY_DIR}/program)
  install(FILES ${printed}/completion/tutti.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    RENAME tutti OPTIONAL)
  install(FILES ${printed}/completion/_tutti DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions OPTIONAL)
  install(FILES ${printed}/completion/tutti.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d OPTIONAL)
  install(FILES ${printed}/ensemble.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/tutti OPTIONAL)
endif()

install(TARGETS tutti_worker RUNTIME DESTINATION ${worker_dir} COMPONENT runtime)
foreach(program tutti_bench_program tutti_bench_single)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${worker_dir})
  endif()
endforeach()
# Scripts that compare and show rows of measurements, and the modules that they share.
install(PROGRAMS ${PROJECT_SOURCE_DIR}/bench/compare ${PROJECT_SOURCE_DIR}/bench/report DESTINATION ${worker_dir})
install(FILES ${PROJECT_SOURCE_DIR}/bench/bench_rows.py ${PROJECT_SOURCE_DIR}/bench/report_pictures.py
  ${PROJECT_SOURCE_DIR}/bench/report_trace.py DESTINATION ${worker_dir})
if(TARGET tutti_bench_single)
  install(TARGETS tutti_bench_single RUNTIME DESTINATION ${worker_dir})
endif()
if(TARGET tutti_shared)
  add_library(tutti::tutti ALIAS tutti_shared)
  install(TARGETS tutti_shared EXPORT tuttiTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT tuttiTargets NAMESPACE tutti:: DESTINATION ${package_dir})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tutti DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN *.hpp PATTERN *.h)

  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/tuttiConfig.cmake.in
    ${PROJECT_BINARY_DIR}/package/tuttiConfig.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/tuttiConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  # From the folder of tutti.pc to the prefix, so that the prefix can be moved.
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
    OUTPUT_VARIABLE pc_prefix)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/tutti.pc.in ${PROJECT_BINARY_DIR}/package/tutti.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/package/tutti.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  install(FILES ${PROJECT_BINARY_DIR}/package/tuttiConfig.cmake ${PROJECT_BINARY_DIR}/package/tuttiConfigVersion.cmake
    DESTINATION ${package_dir})
endif()

if(TUTTI_WITH_TORCH)
  install(CODE "
    set(link \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBEXECDIR}/libtorch\")
    if(NOT EXISTS \"\${link}\" AND \"\$ENV{DESTDIR}\" STREQUAL \"\")
      file(REMOVE \"\${link}\")  # one that leads nowhere
      file(CREATE_LINK \"${LibTorch_ROOT_FOLDER}\" \"\${link}\" SYMBOLIC)
      message(STATUS \"Linked: \${link} -> ${LibTorch_ROOT_FOLDER}\")
    endif()")
endif()

install(FILES LICENSE NOTICE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY config/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/config FILES_MATCHING PATTERN *.yaml)
